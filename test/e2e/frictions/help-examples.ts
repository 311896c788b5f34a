/** What must come of each example of the help. */
import { copyFileSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { EXAMPLES } from '../../../src/cli/help-texts.ts';
import { cudaLibraryFolder } from '../../../src/runtime/onnxruntime/cuda/library-folder.ts';
import { openvinoBuild } from '../../../src/runtime/openvino/release.ts';
import { madeFile } from '../../checkpoint/single-file/make-file.ts';
import { NO_MONGOD } from '../../servers/find-mongod.ts';
import type { Neighbours } from './neighbours.ts';
import type { Place } from './places.ts';
import type { Shell } from './shell.ts';
import type { Expectations, Expected } from './texts.ts';

/** The commands whose help has all examples: those of a group are in its own help. */
export const HELP_LINES: readonly string[] = Object.keys(EXAMPLES).map((command) => `text2img ${command} --help`);

const ID = '65f1c0ffee0123456789abcd';
const atExit = { after: (clean: () => void) => void process.once('exit', clean) };
const isCudaPlatform = process.platform === 'linux' && process.arch === 'x64';

/** With the libraries there already, so that nothing is downloaded. */
export const cudaFacts: Expected = {
  before: (shell) => void mkdirSync(cudaLibraryFolder(join(shell.folder, 'share')), { recursive: true }),
  environment: { XDG_DATA_HOME: 'share' },
  typed: (line) => line,
  ...(isCudaPlatform ? { prints: /cuda-onnxruntime-/ } : { code: 5 }),
};

/** Nothing is downloaded: nobody listens at this mirror. */
export const openvinoFacts: Expected = {
  environment: { XDG_DATA_HOME: 'share', TEXT2IMG_PACKAGES_URL: 'http://127.0.0.1:9' },
  typed: (line) => line,
  code: 5,
  ...(openvinoBuild() === undefined ? {} : { says: /the download failed: .*\[download_failed\]\n$/ }),
};

export function withJob(id: string) {
  return (shell: Shell) =>
    shell.type(`echo '{"_id": "${id}", "text": "a fox"}' | text2img enqueue -`, { prints: new RegExp(`^${id}\n$`) });
}

/** The first line of a server. */
export const SERVES = /^http:\/\/127\.0\.0\.1:\d+\n/;
export const SECRET = /^t2i_[\w-]{43}\n$/;

/** Other programs may listen on the usual port. */
function onFreePort(line: string): string {
  return `${line} --port 0`;
}

/** A job that this worker refuses. */
const TOO_LARGE = `echo '{"text": "a cat", "width": 4096, "height": 8192}' | text2img enqueue - --max-pixels 67108864`;

export function helpExpectations(place: Place, { mongo, hook }: Neighbours): Expectations {
  const images = (count: number): RegExp => new RegExp(`\n${count} images? in text2img-data/generated \\(`);
  return {
    text2img: {
      before: (shell) => shell.type('text2img enqueue --prompt "a fox"'),
      prints: /^file:\/\//,
      says: images(1),
    },
    'text2img run --watch --model ./stable-diffusion-v1-5': {
      before: (shell) => symlinkSync(join(place.program, 'models/demo'), join(shell.folder, 'stable-diffusion-v1-5')),
      untilPrinted: /queue and store opened/,
    },
    'text2img --mongo-uri mongodb://db.example/app --gcs-bucket my-bucket': {
      typed: (line) => line.replace('mongodb://db.example/app', mongo?.uri('help') ?? ''),
      says: /queue and store opened .*my-bucket[\s\S]*\n0 images \(/,
      skip: mongo === undefined && NO_MONGOD,
    },
    'text2img run --fail-on-error --json': {
      before: (shell) => shell.type(TOO_LARGE),
      code: 3,
      prints: [/^\{"type":"failed".*"invalid_parameter"/m, /^\{"type":"summary".*"failed":1/m],
    },
    'text2img serve': { typed: onFreePort, untilPrinted: SERVES },
    'text2img serve --port 8080 --model ./stable-diffusion-v1-5': {
      typed: (line) => line.replace('8080', '0').replace('./stable-diffusion-v1-5', join(place.program, 'models/demo')),
      untilPrinted: SERVES,
    },
    'text2img serve --host 0.0.0.0 --api-keys keys': {
      before: (shell) => shell.type('text2img keys create bob --api-keys keys', { prints: SECRET }),
      typed: onFreePort,
      untilPrinted: SERVES,
    },
    'text2img serve --mongo-uri mongodb://db/app --gcs-bucket my-bucket': {
      notTyped: 'a server without a worker has no health file by which this test would find its process',
      typedBy: ['test/http/many-clients.test.ts', 'MongoDB, a replica set'],
    },
    'text2img mcp --data-dir ~/pictures': {
      notTyped: 'an agent starts it and speaks the protocol with it',
      typedBy: ['test/e2e/mcp.test.ts', 'an agent gets an image, with its file, and the log on standard error'],
    },
    'text2img mcp --mongo-uri mongodb://db/app --gcs-bucket my-bucket': {
      notTyped: 'an agent starts it and speaks the protocol with it',
      typedBy: ['test/e2e/mcp.test.ts', 'with MongoDB the process only adds prompts'],
    },
    'text2img keys create alice --api-keys keys': { prints: SECRET, says: /cannot be shown again/ },
    'text2img keys list --api-keys keys': { prints: /^alice\n/m, never: /t2i_/ },
    'text2img keys revoke alice --api-keys keys': { prints: /^\d keys? revoked\n$/ },
    'text2img generate "a red circle on a white background" -s 0': {
      prints: /^\.\/text2img-0\.png/,
      makes: ['text2img-0.png'],
    },
    'text2img generate "a fox" -n 4 -o fox.png': { makes: [1, 2, 3, 4].map((k) => `fox-${k}.png`) },
    'text2img generate --from fox-2.png --num-inference-steps 50': { says: /num_inference_steps=50/, prints: /\.png/ },
    'text2img enqueue --prompt "a starry night over the ocean" --seed 7': { prints: /^[0-9a-f]{24}\n$/ },
    'text2img enqueue prompts.jsonl': {
      before: (shell) => shell.write('prompts.jsonl', '{"text": "a fox", "seed": 7}\n'),
      prints: /^[0-9a-f]{24}\n$/,
    },
    'text2img enqueue prompts.txt': {
      before: (shell) => shell.write('prompts.txt', 'a fox\ntwo cats\n'),
      prints: /^\w+\n\w+\n$/,
    },
    'my-script | text2img enqueue -': {
      before: (shell) => shell.writeProgram('my-script', 'echo "a fox"'),
      prints: /^[0-9a-f]{24}\n$/,
    },
    'text2img jobs list --status error': { prints: /\n.*error.*invalid_parameter/ },
    'text2img jobs show 65f1c0ff': { before: withJob(ID), prints: new RegExp(`^id +${ID}\n`) },
    'text2img jobs retry 65f1c0ffee0123456789abcd': {
      before: (shell) => shell.type('text2img run'),
      prints: new RegExp(ID),
    },
    'text2img jobs retry --status error --older-than 1h --dry-run': { prints: /^0 jobs would be retried\n$/ },
    'text2img jobs retry --adopt 65f1c0ffee0123456789abcd': {
      before: (shell) => shell.type('text2img run'),
      prints: new RegExp(ID),
    },
    'text2img jobs cancel 65f1c0ffee0123456789abcd': { prints: new RegExp(ID) },
    'text2img webhooks list --state dead': { says: /0 dead/ },
    'text2img webhooks deliver --callback-url https://example.com/hook': {
      typed: (line) => line.replace('https://example.com/hook', hook.url),
      prints: /^0 webhooks delivered/,
    },
    'text2img webhooks deliver --now': { prints: /^0 webhooks delivered/ },
    'text2img webhooks redrive': { prints: /^0 / },
    'text2img models pull stable-diffusion-v1-5/stable-diffusion-v1-5': { prints: /\/snapshots\/\w+\n$/ },
    'text2img models list': { prints: /^stable-diffusion-v1-5\/stable-diffusion-v1-5 .*ready$/m },
    'text2img models show stable-diffusion-v1-5/stable-diffusion-v1-5': { prints: /^ {2}unet +UNet2DConditionModel$/m },
    'text2img models show v1-5-pruned.safetensors': {
      before: (shell) => copyFileSync(madeFile(atExit, 'sd-1'), join(shell.folder, 'v1-5-pruned.safetensors')),
      prints: /StableDiffusionPipeline/,
    },
    'text2img doctor': { prints: /\nno problems\n$/ },
    'text2img health': { code: 5, says: /no worker runs.*\[worker_unhealthy\]\n$/ },
    'text2img health --heartbeat-file /tmp/heartbeat': {
      before: (shell) => shell.write('heartbeat', ''),
      typed: (line) => line.replace('/tmp/heartbeat', 'heartbeat'),
      prints: /healthy/,
    },
    'text2img setup cuda': cudaFacts,
    'text2img setup openvino': openvinoFacts,
  };
}
