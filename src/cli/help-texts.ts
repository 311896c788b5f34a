/**
 * The examples that each command's help shows, and the exit codes.
 */
import type { CommandName } from '../config/options.ts';

type Example = readonly [line: string, meaning: string];

export const EXAMPLES: Record<CommandName, readonly Example[]> = {
  run: [
    ['text2img', 'Draw everything that is in the queue of ./text2img-data, then exit.'],
    ['text2img run --watch --model ./stable-diffusion-v1-5', 'Keep drawing what comes, with another checkpoint.'],
    [
      'text2img --mongo-uri mongodb://db.example/app --gcs-bucket my-bucket --callback-url https://example.com/hook',
      'Draw the prompts of a MongoDB collection into a bucket; as many of these as you like, on as many machines.',
    ],
    ['text2img run --fail-on-error --json', 'For scripts: exit code 3 when a prompt failed, one JSON line per prompt.'],
  ],
  generate: [
    [
      'text2img generate --prompt "a red circle on a white background" --seed 0 --output circle.png',
      'One picture with the demo checkpoint.',
    ],
    [
      'text2img generate --model ./stable-diffusion-v1-5 --prompt "a fox" --num-images 4 --output fox.png',
      'Four pictures: fox-1.png … fox-4.png, seeds counted up.',
    ],
    ['text2img generate --from fox-2.png --num-inference-steps 50', 'Draw a picture again with more steps.'],
  ],
  enqueue: [
    [
      'text2img enqueue --prompt "a starry night over the ocean" --num-inference-steps 20 --guidance-scale 4',
      'Add one prompt.',
    ],
    ['text2img enqueue examples/prompts.jsonl', 'Add a prompt per line: {"text": "a fox", "seed": 7, "width": 512}'],
    ['my-script | text2img enqueue -', 'The same from standard input.'],
  ],
  jobs: [
    ['text2img jobs list --status error', 'What failed, and why.'],
    ['text2img jobs show 7', 'Everything about a job; while it is drawn, step k of n.'],
    ['text2img jobs retry 7', 'Draw it again.'],
    ['text2img jobs retry --adopt 7', 'Draw it again over an image that another collection’s job left under its name.'],
    ['text2img jobs cancel 7', 'Stop it, also while it is being drawn.'],
  ],
  webhooks: [
    ['text2img webhooks list --state dead', 'What was given up, and why.'],
    ['text2img webhooks deliver --callback-url https://example.com/hook', 'Send what is due, without a model.'],
    ['text2img webhooks redrive', 'Try again what was given up.'],
  ],
  models: [
    [
      'text2img models pull stable-diffusion-v1-5/stable-diffusion-v1-5 --variant fp16',
      'Fetch what is needed to draw with it.',
    ],
    ['text2img models list', 'What is in the cache, and whether it can be used.'],
    ['text2img models show stable-diffusion-v1-5/stable-diffusion-v1-5', 'Its revision, size and parts.'],
  ],
  doctor: [
    ['text2img doctor', 'Cores, memory, GPUs, model, store and queue, each with what to do when it is missing.'],
  ],
  health: [
    [
      'text2img health --heartbeat-file /tmp/heartbeat',
      'Exit code 0 when the worker’s loop has turned within --max-age, else 5.',
    ],
  ],
  setup: [['text2img setup cuda', 'Fetch ONNX Runtime’s CUDA provider and the CUDA libraries that it needs.']],
};

export const EXIT_CODES_HELP = `Exit codes:
  0   done (also when prompts ended in error, unless --fail-on-error)
  2   wrong usage or configuration
  3   the request cannot be drawn; with --fail-on-error: a prompt ended in error
  4   the model cannot be used
  5   the machine, the queue or the store failed
  70  a bug of text2img
  128 + n  ended by a second signal n`;
