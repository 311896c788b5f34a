/**
 * The examples that each command's help shows, and the exit codes.
 */
import type { CommandName } from '../config/options.ts';

type Example = readonly [line: string, meaning: string];

export const EXAMPLES: Record<CommandName, readonly Example[]> = {
  run: [
    ['text2img', 'Generate all jobs of the queue in ./text2img-data, then exit.'],
    ['text2img run --watch --model ./stable-diffusion-v1-5', 'Wait for more jobs, with another checkpoint.'],
    [
      'text2img --mongo-uri mongodb://db.example/app --gcs-bucket my-bucket',
      'Use MongoDB and a bucket. Start as many workers as you like.',
    ],
    ['text2img run --fail-on-error --json', 'Print a JSON line for each job, and exit with 3 if one failed.'],
  ],
  serve: [
    ['text2img serve', 'Print the server’s URL, and generate with the demo checkpoint.'],
    ['text2img serve --port 8080 --model ./stable-diffusion-v1-5', 'Use another port and another checkpoint.'],
    ['text2img serve --host 0.0.0.0 --api-keys keys', 'Let other machines in that have a key.'],
    [
      'text2img serve --mongo-uri mongodb://db/app --gcs-bucket my-bucket',
      'Only answer requests. As many workers as you like generate elsewhere.',
    ],
  ],
  mcp: [
    ['text2img mcp --data-dir ~/pictures', 'Put this into the configuration file of your agent, with absolute paths.'],
    [
      'text2img mcp --mongo-uri mongodb://db/app --gcs-bucket my-bucket',
      'Only add prompts. Your workers generate the images.',
    ],
  ],
  keys: [
    ['text2img keys create alice --api-keys keys', 'Add a key to the file, and print it once.'],
    ['text2img keys list --api-keys keys', 'List the names, without the keys.'],
    ['text2img keys revoke alice --api-keys keys', 'Refuse the keys of a name from now on.'],
  ],
  generate: [
    ['text2img generate "a red circle on a white background" -s 0', 'Generate one image with the demo checkpoint.'],
    ['text2img generate "a fox" -n 4 -o fox.png', 'Generate fox-1.png to fox-4.png, with consecutive seeds.'],
    ['text2img generate --from fox-2.png --num-inference-steps 50', 'Generate an image again, with more steps.'],
  ],
  enqueue: [
    ['text2img enqueue --prompt "a starry night over the ocean" --seed 7', 'Add one prompt.'],
    ['text2img enqueue prompts.jsonl', 'Add one prompt for each line, such as {"text": "a fox", "seed": 7}.'],
    ['text2img enqueue prompts.txt', 'Add one prompt for each line of a text.'],
    ['my-script | text2img enqueue -', 'Add prompts from standard input.'],
  ],
  jobs: [
    ['text2img jobs list --status error', 'List the jobs that failed, with the reasons.'],
    ['text2img jobs show 65f1c0ff', 'Show a job by the beginning of its id. A running job shows step k of n.'],
    ['text2img jobs retry 65f1c0ffee0123456789abcd', 'Run a job again.'],
    [
      'text2img jobs retry --status error --older-than 1h --dry-run',
      'Count the jobs that failed. Without --dry-run, run them again.',
    ],
    [
      'text2img jobs retry --adopt 65f1c0ffee0123456789abcd',
      'Run a job again over its images, after you renamed a collection.',
    ],
    ['text2img jobs cancel 65f1c0ffee0123456789abcd', 'Cancel a job that waits or runs.'],
  ],
  webhooks: [
    ['text2img webhooks list --state dead', 'List the dead webhooks, with the reasons.'],
    [
      'text2img webhooks deliver --callback-url https://example.com/hook',
      'Send the webhooks that are due, without a model.',
    ],
    ['text2img webhooks deliver --now', 'Send all pending webhooks at once, after you repaired the receiver.'],
    ['text2img webhooks redrive', 'Retry all dead webhooks.'],
  ],
  models: [
    [
      'text2img models pull stable-diffusion-v1-5/stable-diffusion-v1-5',
      'Download a model; add --variant fp16 for its smaller files.',
    ],
    ['text2img models list', 'List the models in the cache, and whether they can be used.'],
    [
      'text2img models show stable-diffusion-v1-5/stable-diffusion-v1-5',
      'Show the revision, size and components of a model.',
    ],
    ['text2img models show v1-5-pruned.safetensors', 'Show what a single file is, and what it lacks.'],
  ],
  doctor: [['text2img doctor', 'Check cores, memory, GPUs, model, store and queue.']],
  health: [
    ['text2img health', 'Check all workers of this user that have no --heartbeat-file.'],
    [
      'text2img health --heartbeat-file /tmp/heartbeat',
      'Exit with 0 if the file is younger than --max-age, else with 5.',
    ],
  ],
  setup: [
    ['text2img setup cuda', 'Download ONNX Runtime’s CUDA provider and its libraries.'],
    ['text2img setup openvino', 'Download OpenVINO’s libraries. Mend them if one is broken.'],
  ],
};

export const EXIT_CODES_HELP = `Exit codes:
  0        done; some jobs may have ended in error
  2        wrong usage or configuration
  3        the request is invalid; with --fail-on-error: a job ended in error
  4        the model cannot be used
  5        the machine, the queue or the store failed
  70       a bug of text2img
  128 + n  ended by a second signal n`;
