/**
 * The lint rules. Most of this file is the map's import rules, written as two tables: which folder may import which, and
 * through which door a foreign library comes in. `test/architecture.test.ts` proves that breaking one is reported.
 */
import { defineConfig } from 'oxlint';

/** Folder → folders (or single files) that it may import; its own files always. What is missing here is forbidden. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  errors: [],
  observability: ['errors'],
  job: ['errors', 'diffusion/schedulers/scheduler-names.ts', 'engine/protocol.ts'],
  config: ['errors', 'job', 'diffusion/schedulers/scheduler-names.ts', 'storage/object-key.ts'],
  queue: ['errors', 'job', 'observability'],
  storage: ['errors', 'job', 'observability'],
  image: ['errors', 'job', 'diffusion/schedulers/scheduler-names.ts'],
  checkpoint: ['errors', 'observability', 'storage/file-lock.ts'],
  diffusion: ['errors', 'job'],
  onnx: ['errors', 'checkpoint'],
  models: ['errors', 'checkpoint', 'onnx', 'diffusion/networks.ts'],
  engine: ['errors', 'job', 'observability', 'diffusion', 'models', 'onnx', 'checkpoint'],
  worker: [
    'image',
    'errors',
    'job',
    'observability',
    'queue/prompt-queue.ts',
    'storage/image-store.ts',
    'storage/object-key.ts',
    'engine/engine-host.ts',
    'engine/protocol.ts',
    'diffusion/schedulers/scheduler-names.ts',
    'webhook/webhook-policy.ts',
  ],
  webhook: ['errors', 'observability', 'queue/webhook-outbox.ts'],
  cli: ['*'],
};

/** The parent's half of the engine knows the child by its messages only: it must never load ONNX Runtime. */
const ENGINE_PARENT_FILES = ['src/engine/engine-host.ts', 'src/engine/engine-process.ts', 'src/engine/step-clock.ts', 'src/engine/protocol.ts'];

/** Foreign library → the only places that may import it. */
const DOORS: Record<string, readonly string[]> = {
  'onnxruntime-node': ['src/onnx/**'],
  'node:sqlite': ['src/queue/sqlite/**'],
  '@google-cloud/storage': ['src/storage/gcs-image-store.ts'],
  '@huggingface/hub': ['src/checkpoint/hub/hub-client.ts'],
  mongodb: ['src/queue/mongo/**', 'test/**', 'bench/**'],
  protobufjs: ['src/onnx/**'],
  'fast-png': ['test/**'],
  fflate: ['src/engine/**'],
  'ipaddr.js': ['src/webhook/**'],
  pino: ['src/observability/**'],
  commander: ['src/cli/**'],
};

/** `diffusion/` is arithmetic: everything from outside comes in as a parameter. */
const IO_MODULES = ['node:fs', 'node:fs/promises', 'node:child_process', 'node:net', 'node:http', 'node:https', 'node:os', 'node:worker_threads'];

type Pattern = { regex: string; message: string } | { group: string[]; message: string };

function escape(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\/]/g, '\\$&');
}

function folderPatterns(folder: string): Pattern[] {
  const allowed = MAY_IMPORT[folder] ?? [];
  if (allowed.includes('*')) return [];
  return Object.keys(MAY_IMPORT)
    .filter((other) => other !== folder && !allowed.includes(other))
    .map((other) => {
      const files = allowed.filter((entry) => entry.startsWith(`${other}/`));
      const upwards = ['../', '../../', '../../../'].map((up) => `${up}${other}/**`);
      return {
        group: [...upwards, ...files.map((file) => `!**/${file}`)],
        message: `${folder}/ does not import ${other}/ (see oxlint.config.ts).`,
      };
    });
}

function doorPatterns(place: string): Pattern[] {
  return Object.entries(DOORS)
    .filter(([, doors]) => !doors.some((door) => place.startsWith(door.replace('/**', ''))))
    .map(([library, doors]) => ({
      regex: `^${escape(library)}(?:$|/)`,
      message: `${library} comes in only through ${doors.join(', ')}.`,
    }));
}

function restrictedImports(patterns: Pattern[]): Record<string, unknown> {
  return { 'no-restricted-imports': ['error', { patterns }] };
}

const sourceOverrides = Object.keys(MAY_IMPORT).flatMap((folder) => {
  const io: Pattern[] = folder === 'diffusion' ? IO_MODULES.map((name) => ({ regex: `^${escape(name)}$`, message: 'diffusion/ does no I/O.' })) : [];
  const patterns = [...folderPatterns(folder), ...io];
  const places = [folder, ...(folder === 'queue' ? ['queue/sqlite', 'queue/mongo'] : [])];
  return places.map((place) => ({
    files: [`src/${place}/**`],
    rules: restrictedImports([...patterns, ...doorPatterns(`src/${place}`)]) as never,
  }));
});

/** Doors that are single files of a folder. */
const fileDoorOverrides = Object.values(DOORS)
  .flat()
  .filter((door) => /^src\/.*\.ts$/.test(door))
  .map((file) => ({
    files: [file],
    rules: restrictedImports([...folderPatterns(file.split('/')[1] ?? ''), ...doorPatterns(file)]) as never,
  }));

export default defineConfig({
  plugins: ['typescript', 'unicorn', 'oxc', 'import', 'node', 'promise'],
  categories: { correctness: 'error' },
  options: { typeAware: true },
  rules: {
    'import/no-cycle': 'error',
    'import/no-default-export': 'error',
    'typescript/no-floating-promises': 'error',
    'typescript/no-misused-promises': 'error',
    'typescript/await-thenable': 'error',
    'typescript/switch-exhaustiveness-check': 'error',
    'typescript/no-explicit-any': 'error',
    'typescript/only-throw-error': 'error',
    'typescript/consistent-type-imports': 'error',
    'typescript/no-unnecessary-type-assertion': 'error',
    'unicorn/prefer-node-protocol': 'error',
    'no-console': 'error',
    'no-var': 'error',
    'prefer-const': 'error',
    eqeqeq: 'error',
    'node/no-process-env': 'error',
    'unicorn/no-process-exit': 'error',
    'max-lines': ['error', { max: 400, skipBlankLines: false, skipComments: false }],
    'max-params': ['error', { max: 4 }],
  },
  overrides: [
    ...sourceOverrides,
    {
      files: ENGINE_PARENT_FILES,
      rules: restrictedImports([
        ...['diffusion', 'models', 'onnx', 'checkpoint', 'cli', 'queue', 'storage', 'image', 'worker'].map((folder) => ({
          regex: `^(?:\\.\\./)+${folder}/`,
          message: 'The parent’s half of the engine imports the protocol only.',
        })),
        ...doorPatterns('src/engine'),
      ]) as never,
    },
    ...fileDoorOverrides,
    { files: ['src/config/load.ts'], rules: { 'node/no-process-env': 'off' } },
    { files: ['src/cli/**', 'src/engine/engine-child.ts'], rules: { 'unicorn/no-process-exit': 'off' } },
    { files: ['*.config.ts'], rules: { 'import/no-default-export': 'off' } },
    {
      files: ['test/**', 'bench/**', 'scripts/**'],
      rules: { 'no-console': 'off', 'node/no-process-env': 'off', 'unicorn/no-process-exit': 'off', 'typescript/no-floating-promises': 'off' },
    },
  ],
  ignorePatterns: ['dist/**', 'node_modules/**', 'reference/**', 'models/**', 'test/golden/**'],
});
