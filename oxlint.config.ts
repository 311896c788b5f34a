/**
 * The lint rules. Most of this file is the map's import rules, written as two tables: which folder may import which, and
 * through which door a foreign library comes in. `test/import-rules.test.ts` proves that breaking one is reported.
 */
import { defineConfig } from 'oxlint';

interface Folder {
  /** What lies in it; the map in ARCHITECTURE.md is written from here. */
  readonly holds: string;
  /** Folders (or single files) that it may import; its own files always. What is missing here is forbidden. */
  readonly imports: readonly string[];
  /** Sub-folders, for the map. */
  readonly folders?: Readonly<Record<string, string>>;
}

/**
 * A row for each folder and each file of `src/` itself, from the bottom up. `test/import-rules.test.ts` fails where one has no row, breaks each row
 * once, and fails where a permission is used by nobody.
 */
export const FOLDERS: Readonly<Record<string, Folder>> = {
  lib: { holds: 'small helpers that know nothing of the rest: foreign text, files, pauses, locks', imports: ['errors'] },
  errors: { holds: 'one error class, one table of codes', imports: ['lib/foreign-text.ts', 'lib/disk-errors.ts'] },
  observability: { holds: 'logs', imports: ['errors', 'lib', 'version.ts'] },
  noise: { holds: 'the noise that a seed must give', imports: ['errors', 'lib'] },
  schedulers: {
    holds: 'one file per scheduler, named and behaving as in diffusers: arithmetic, configuration keys, names',
    imports: ['errors', 'lib', 'noise'],
  },
  job: {
    holds: 'the prompt document and its request',
    imports: ['errors', 'lib', 'schedulers'],
  },
  config: {
    holds: 'options: tables, parsing, and the meaning of environment variables',
    imports: ['errors', 'lib', 'job', 'storage/object-prefix.ts', 'webhook/webhook-keys.ts'],
    folders: { options: 'the tables of options' },
  },
  queue: {
    holds: 'prompt-queue.ts and webhook-outbox.ts are the contracts, transitions.ts holds their shared decisions; mongo/ and sqlite/ implement them',
    imports: ['errors', 'lib', 'job', 'observability'],
    folders: {
      mongo: 'many machines; each statement that writes has a file of its own, reads share',
      'mongo/side-data': 'what servers and workers tell one another, in collections of its own',
      sqlite: 'the embedded queue, in the same way',
      'sqlite/side-data': 'the same in tables of its own',
    },
  },
  storage: {
    holds: 'image-store.ts is the contract; a bucket and a folder keep it',
    imports: ['errors', 'lib', 'job', 'observability'],
    folders: { gcs: 'a bucket of Google Cloud Storage', file: 'a folder' },
  },
  image: { holds: 'pixels → PNG with its generation parameters inside', imports: ['errors', 'lib', 'job', 'schedulers', 'version.ts'] },
  onnx: { holds: 'writes graphs; no runtime, no files', imports: ['errors', 'lib'] },
  networks: {
    holds: 'per class of network: its configuration and its ONNX graph',
    imports: ['lib', 'onnx'],
    folders: { layers: 'the layers of networks' },
  },
  checkpoint: {
    holds: 'where weights come from',
    imports: ['errors', 'lib', 'observability', 'networks', 'onnx/weights.ts'],
    folders: {
      hub: 'models by their hub id, in the cache that the Python tools share',
      'single-file': 'checkpoints in the original layout, whose networks lie in one file',
    },
  },
  pipelines: {
    holds: 'tokens → embeddings → latents → pixels; no I/O',
    imports: ['errors', 'lib', 'job', 'schedulers', 'noise', 'onnx/graph.ts', 'networks', 'checkpoint', 'runtime/contract.ts', 'runtime/tensors.ts'],
    folders: {
      parts: 'functions that families share',
      'stable-diffusion': 'the family of Stable Diffusion 1.x and 2.x',
      'stable-diffusion-xl': 'the family of Stable Diffusion XL',
      'latent-consistency': 'the family of latent consistency models',
    },
  },
  runtime: {
    holds: 'runs graphs: contract.ts, the compile cache, and one folder for each runtime',
    imports: ['errors', 'lib', 'onnx', 'networks/form-sample.ts'],
    folders: { onnxruntime: 'the only importer of onnxruntime-node', 'onnxruntime/cuda': 'the libraries of setup cuda', 'onnxruntime-c': 'ONNX Runtime through its C API', nvidia: 'what NVIDIA’s driver says about its GPUs', openvino: 'OpenVINO, a second runtime for the CPU', wheels: 'downloads libraries out of Python packages' },
  },
  engine: {
    holds: 'the process boundary: the parent owns the state, the child owns the model',
    imports: ['errors', 'lib', 'job', 'observability', 'pipelines', 'onnx', 'runtime', 'checkpoint'],
    folders: { child: 'owns the model; the parent knows it by its messages only' },
  },
  webhook: {
    holds: 'the webhook of a finished job, and its delivery',
    imports: ['errors', 'lib', 'observability', 'queue/webhook-outbox.ts'],
  },
  worker: {
    holds: 'slot → claim → generate → encode → store → complete',
    imports: [
      'errors',
      'lib',
      'job',
      'observability',
      'image',
      'queue/deadline-sweeps.ts',
      'queue/prompt-queue.ts',
      'queue/side-data.ts',
      'queue/webhook-outbox.ts',
      'storage/doc-key.ts',
      'storage/image-store.ts',
      'storage/object-key.ts',
      'engine/engine-job.ts',
      'engine/pool.ts',
      'webhook/webhook-policy.ts',
      'version.ts',
    ],
  },
  http: {
    holds: 'the server: one folder for each API; doors.ts lists them',
    imports: ['errors', 'lib', 'observability', 'job', 'schedulers', 'image', 'queue/deadline-sweeps.ts', 'queue/prompt-queue.ts', 'queue/side-data.ts', 'storage/image-store.ts', 'storage/object-key.ts', 'version.ts'],
    folders: {
      a1111: 'the API of AUTOMATIC1111’s web UI',
      images: 'images over HTTP: ranges, tags, signed links',
      jobs: 'the jobs API, /api/v1',
      openapi: 'the OpenAPI document, from the route records of every API',
      front: 'the one producer of all APIs: limits, repeats, waiting, images',
      keys: 'API keys',
      mcp: 'agents, over the Model Context Protocol',
      metrics: 'what Prometheus scrapes',
      ollama: 'Ollama’s API for images',
      openai: 'OpenAI’s images API',
      server: 'the HTTP server: routes, errors, authentication, readiness',
    },
  },
  app: {
    holds: 'wires the parts together, without a terminal',
    imports: ['errors', 'lib', 'observability', 'checkpoint', 'config', 'engine', 'http', 'job/limits.ts', 'pipelines', 'queue', 'runtime', 'storage', 'webhook', 'worker', 'version.ts'],
  },
  cli: { holds: 'the operator’s door: one file per command, and the terminal', imports: ['*'] },
  'version.ts': { holds: 'the version in package.json', imports: [] },
};

/** The parent's half of the engine knows the child by its messages only, and a runtime by its devices: it never loads ONNX Runtime. */
export const ENGINE_PARENT = 'src/engine/*.ts';
const PARENT_IMPORTS = ['errors', 'lib', 'observability', 'job', 'runtime/registry.ts'];

/** Foreign library → the only places that may import it. */
export const DOORS: Record<string, readonly string[]> = {
  'onnxruntime-node': ['src/runtime/onnxruntime/**'],
  // Two of them for its types.
  koffi: ['src/runtime/load-koffi.ts', 'src/runtime/openvino/bindings.ts', 'src/runtime/onnxruntime-c/bindings.ts'],
  'node:sqlite': ['src/queue/sqlite/**'],
  '@google-cloud/storage': ['src/storage/gcs/gcs-client.ts'],
  '@huggingface/hub': ['src/checkpoint/hub/hub-client.ts'],
  mongodb: ['src/queue/mongo/**', 'test/**', 'bench/**', 'examples/**'],
  protobufjs: ['src/onnx/**'],
  'fast-png': ['test/**'],
  fflate: ['src/runtime/wheels/**'],
  'ipaddr.js': ['src/webhook/**'],
  pino: ['src/observability/**'],
  commander: ['src/cli/**'],
  // The doors only name its types.
  fastify: ['src/http/**'],
  'prom-client': ['src/observability/**'],
  '@modelcontextprotocol/server': ['src/http/mcp/**'],
  '@modelcontextprotocol/client': ['test/**'],
};

/** They are arithmetic: everything from outside comes in as a parameter. */
const WITHOUT_IO = ['noise', 'schedulers', 'pipelines'];
const IO_MODULES = ['node:fs', 'node:fs/promises', 'node:child_process', 'node:net', 'node:http', 'node:https', 'node:os', 'node:worker_threads'];

type Pattern = { regex: string; message: string } | { group: string[]; message: string };

function escape(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\/]/g, '\\$&');
}

function folderPatterns(folder: string): Pattern[] {
  return patternsFor(folder, FOLDERS[folder]?.imports ?? []);
}

function patternsFor(folder: string, allowed: readonly string[]): Pattern[] {
  if (allowed.includes('*')) return [];
  return Object.keys(FOLDERS)
    .filter((other) => other !== folder && !allowed.includes(other))
    .map((other) => {
      const files = allowed.filter((entry) => entry.startsWith(`${other}/`));
      const inside = other.endsWith('.ts') ? other : `${other}/**`;
      const steps = folder.endsWith('.ts') ? ['./'] : ['../', '../../', '../../../'];
      const upwards = steps.map((up) => `${up}${inside}`);
      return {
        group: [...upwards, ...files.map((file) => `!**/${file}`)],
        message: `${folder} does not import ${other} (see oxlint.config.ts).`,
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

/** Folders below `folder` behind which a library's door is, outer ones first. */
function doorFolders(folder: string): string[] {
  const doors = Object.values(DOORS)
    .flat()
    .filter((door) => door.startsWith(`src/${folder}/`) && door.endsWith('/**'));
  return [...new Set(doors.map((door) => door.slice('src/'.length, -'/**'.length)))].toSorted((a, b) => a.length - b.length);
}

const sourceOverrides = Object.keys(FOLDERS).flatMap((folder) => {
  const io: Pattern[] = WITHOUT_IO.includes(folder) ? IO_MODULES.map((name) => ({ regex: `^${escape(name)}$`, message: `${folder} does no I/O.` })) : [];
  const patterns = [...folderPatterns(folder), ...io];
  const places = [folder, ...doorFolders(folder)];
  return places.map((place) => ({
    files: [place.endsWith('.ts') ? `src/${place}` : `src/${place}/**`],
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
    'import/no-cycle': ['error', { ignoreTypes: false }],
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
      files: [ENGINE_PARENT],
      rules: restrictedImports([
        ...patternsFor('engine', PARENT_IMPORTS),
        { group: ['./child/**'], message: 'The parent’s half of the engine knows the child by its messages only.' },
        ...doorPatterns('src/engine'),
      ]) as never,
    },
    ...fileDoorOverrides,
    { files: ['src/cli/entry.ts', 'src/storage/gcs/google-variables.ts', 'src/runtime/onnxruntime/no-telemetry.ts', 'src/runtime/onnxruntime/devices.ts', 'bin/text2img.js'], rules: { 'node/no-process-env': 'off' } },
    { files: ['src/cli/**', 'src/engine/child/serve-engine.ts'], rules: { 'unicorn/no-process-exit': 'off' } },
    { files: ['*.config.ts'], rules: { 'import/no-default-export': 'off' } },
    {
      files: ['test/**', 'bench/**', 'scripts/**', 'examples/**'],
      rules: { 'no-console': 'off', 'node/no-process-env': 'off', 'unicorn/no-process-exit': 'off', 'typescript/no-floating-promises': 'off' },
    },
  ],
  ignorePatterns: ['dist/**', 'node_modules/**', 'reference/**', 'models/**', 'test/golden/**'],
});
