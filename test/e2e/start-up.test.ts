/** Which packages each command loads: exactly those of this table, so that no start pays for what it does not use. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { cudaLibraryFolder } from '../../src/runtime/onnxruntime/cuda/library-folder.ts';
import { loadedBy } from './packages-of.ts';
import { launcher, root, temporaryFolder } from './run-cli.ts';

const SMALL = ['--width', '64', '--height', '64', '--num-inference-steps', '1'];
const DEMO = ['--model', join(root, 'models', 'demo')];
/** What a log file costs. */
const PINO = [
  '@pinojs/redact',
  'atomic-sleep',
  'on-exit-leak-free',
  'pino',
  'pino-std-serializers',
  'quick-format-unescaped',
  'safe-stable-stringify',
  'sonic-boom',
  'thread-stream',
];
/** The checkpoint's family: its networks' graphs are built to compare them with the files. */
const FAMILY = ['@huggingface/tokenizers', 'long', 'protobufjs'];

const MCP = ['@modelcontextprotocol/core', '@modelcontextprotocol/server'];
const METRICS = ['@opentelemetry/api', 'bintrees', 'prom-client', 'tdigest'];

interface Start {
  readonly args: readonly string[];
  readonly packages: readonly string[];
  readonly exitCode?: number;
}

// In this order: a later command meets what an earlier one left in the folder.
const STARTS: readonly Start[] = [
  { args: ['--version'], packages: [] },
  { args: ['-V'], packages: [] },
  { args: ['health', '--heartbeat-file', 'beat'], packages: [] },
  { args: ['health', '--heartbeat-file=beat', '--max-age', '60', '--json'], packages: [] },
  { args: ['health', '--heartbeat-file', 'nothing'], packages: [], exitCode: 5 },
  { args: ['health'], packages: [], exitCode: 5 },
  { args: ['--help'], packages: ['commander'] },
  { args: ['run', '--help'], packages: ['commander'] },
  { args: ['--nonsense'], packages: ['commander'], exitCode: 2 },
  { args: ['enqueue', '--prompt', 'a', ...SMALL], packages: ['commander'] },
  { args: ['jobs', 'list'], packages: ['commander'] },
  { args: ['jobs', 'list', '--log-file', 'log'], packages: ['commander', ...PINO] },
  { args: ['jobs', 'show', 'nothing'], packages: ['commander'], exitCode: 2 },
  { args: ['webhooks', 'list'], packages: ['commander', 'ipaddr.js'] },
  { args: ['run', ...DEMO], packages: ['commander', 'ipaddr.js', 'zod'] },
  { args: ['run', '--metrics-port', '0', ...DEMO], packages: ['commander', 'ipaddr.js', 'zod', ...METRICS] },
  { args: ['mcp', ...DEMO], packages: ['commander', 'ipaddr.js', 'zod', ...MCP] },
  { args: ['webhooks', 'deliver'], packages: ['commander', 'ipaddr.js'] },
  { args: ['jobs', 'retry', 'nothing'], packages: ['commander'], exitCode: 2 },
  { args: ['jobs', 'cancel', 'nothing'], packages: ['commander'], exitCode: 2 },
  { args: ['generate', '--prompt', 'a', ...SMALL, ...DEMO], packages: ['commander', 'zod'] },
  { args: ['keys', 'list', '--api-keys', 'nothing'], packages: ['commander'] },
  { args: ['serve', '--host', '0.0.0.0'], packages: ['commander'], exitCode: 2 },
  { args: ['models', 'list'], packages: ['commander', 'zod', ...FAMILY] },
  { args: ['doctor', ...DEMO], packages: ['commander', 'zod', ...FAMILY] },
];

const folder = temporaryFolder();
writeFileSync(join(folder, 'beat'), '');
const environment = {
  TMPDIR: folder,
  HF_HOME: join(folder, 'hub'),
  XDG_DATA_HOME: join(folder, 'share'),
  OMP_NUM_THREADS: '1',
};

for (const { args, packages, exitCode = 0 } of STARTS) {
  const title = packages.length === 0 ? 'no package' : packages.join(', ');
  test(`${args.join(' ').replace(root, '')} loads ${title}`, () => {
    const loaded = loadedBy({ args, launcher, cwd: folder, environment, exitCode });
    assert.ok(loaded.files.includes('src/cli/entry.ts'), 'the hook sees what is loaded');
    assert.deepEqual(loaded.packages, [...packages].toSorted());
  });
}

test('setup cuda loads what unpacks, and nothing of the engine', {
  skip: process.platform === 'linux' && process.arch === 'x64' ? false : 'NOT RUN: setup cuda is for linux-x64 only',
}, () => {
  // There already, so that nothing is downloaded.
  mkdirSync(cudaLibraryFolder(environment.XDG_DATA_HOME), { recursive: true });
  const { packages } = loadedBy({ args: ['setup', 'cuda'], launcher, cwd: folder, environment });
  assert.deepEqual(packages, ['commander', 'fflate']);
});

test('setup openvino loads what unpacks, and nothing of OpenVINO', () => {
  const args = ['setup', 'openvino', '--packages-url', 'http://127.0.0.1:9'];
  const { packages } = loadedBy({ args, launcher, cwd: folder, environment, exitCode: 5 });
  assert.deepEqual(packages, ['commander', 'fflate']);
});

test('MongoDB’s and Google’s packages are loaded by who names a database and a bucket, and ONNX Runtime by no command itself', () => {
  const args = ['doctor', ...DEMO, '--mongo-uri', 'mongodb://127.0.0.1:1/d', '--gcs-bucket', 'pictures'];
  const { packages } = loadedBy({ args, launcher, cwd: folder, environment, exitCode: 5 });
  assert.ok(packages.includes('mongodb') && packages.includes('@google-cloud/storage'), packages.join(' '));
  assert.ok(!packages.includes('@huggingface/hub') && !packages.includes('onnxruntime-node'), packages.join(' '));
});
