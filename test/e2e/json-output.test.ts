/** Everything that any command prints with `--json`: one object a line, no name twice, every name in snake_case. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { Command } from 'commander';
import { buildProgram } from '../../src/cli/program.ts';
import { cudaLibraryFolder } from '../../src/runtime/onnxruntime/cuda/library-folder.ts';
import { assertSnakeCase, parseStrictly } from '../observability/strict-json.ts';
import { HubServer } from '../servers/hub-server.ts';
import { startWebhookReceiver } from '../servers/webhook-receiver.ts';
import { root, runCli, temporaryFolder } from './run-cli.ts';

type Json = Readonly<Record<string, unknown>>;

/** The path of each command that takes `--json`. */
function commandsWithJson(command: Command): string[] {
  if (command.commands.length > 0) return command.commands.flatMap(commandsWithJson);
  if (!command.options.some(({ long }) => long === '--json')) return [];
  const group = command.parent?.parent === null ? '' : `${command.parent?.name()} `;
  return [`${group}${command.name()}`];
}

const demo = join(root, 'models', 'demo');
const hub = await HubServer.start();
after(() => hub[Symbol.asyncDispose]());
hub.repositories.set('owner/demo', {
  files: new Map(
    readdirSync(demo, { recursive: true, encoding: 'utf8' })
      .filter((name) => statSync(join(demo, name)).isFile())
      .map((name) => [name, readFileSync(join(demo, name))]),
  ),
});
const receiver = await startWebhookReceiver((response) => void response.writeHead(410).end());
after(() => receiver[Symbol.asyncDispose]());

const folder = temporaryFolder();
const environment = {
  HF_ENDPOINT: hub.url,
  HF_HOME: join(folder, 'hf'),
  XDG_DATA_HOME: join(folder, 'share'),
  TEXT2IMG_DATA_DIR: join(folder, 'data'),
  TEXT2IMG_DEVICE: 'cpu',
};
const walked = new Set<string>();

/** Runs the command, looks at all that it prints, and gives it back. */
async function outputOf(command: string, args: readonly string[] = [], exitCode = 0): Promise<readonly Json[]> {
  const { code, stdout, stderr } = await runCli({
    args: [...command.split(' '), ...args, '--json'],
    cwd: folder,
    environment,
  });
  assert.equal(code, exitCode, `${command}: ${stderr}`);
  const lines = stdout.trimEnd().split('\n').map(parseStrictly);
  assertSnakeCase(lines, `${command}: ${stdout}`);
  walked.add(command);
  return lines as Json[];
}

const SMALL = ['--width=64', '--height=64', '--num-inference-steps=2'];

test('generate tells the whole request, the model, the file and its size', async () => {
  const output = join(folder, 'x.png');
  const asked = ['--prompt=a red circle', '--negative-prompt=blue', '--seed=7', '--num-images=2', ...SMALL];
  const images = await outputOf('generate', [...asked, '--output', output]);
  assert.equal(images.length, 2);
  const { path, size_bytes: sizeBytes, warnings, replaced, model_hash: modelHash, ...told } = images[1] ?? {};
  assert.deepEqual(told, {
    prompt: 'a red circle',
    negative_prompt: 'blue',
    seed: 8,
    num_inference_steps: 2,
    guidance_scale: 7.5,
    width: 64,
    height: 64,
    num_images: 2,
    scheduler: 'DDIMScheduler',
    model: 'demo',
  });
  assert.equal(path, join(folder, 'x-2.png'));
  assert.equal(sizeBytes, statSync(join(folder, 'x-2.png')).size);
  assert.match(String(modelHash), /^[0-9a-f]{10}$/);
  assert.deepEqual([warnings, replaced], [[], false]);
});

test('the queue’s commands, over jobs that are completed, failed and cancelled, and over webhooks that failed', async () => {
  const [added = {}] = await outputOf('enqueue', ['--prompt=a red circle', ...SMALL]);
  await outputOf('enqueue', ['--prompt=too large for this worker', '--width=256', '--height=256']);
  const ended = await outputOf('run', ['--max-pixels=4096', '--callback-url', receiver.url]);
  const { type, completed, failed, images, place, duration_ms: durationMs, webhooks } = ended.at(-1) ?? {};
  assert.deepEqual([type, completed, failed, images, place], ['summary', 1, 1, 1, join(folder, 'data', 'generated')]);
  assert.ok(Number.isInteger(durationMs));
  assert.deepEqual(webhooks, { delivered: 0, pending: 0, dead: 1, owed: 0, given_up: 1 });
  const done = ended.find((one) => one['type'] === 'completed') ?? assert.fail('no job was completed');
  assert.deepEqual([done['prompt'], (done['parameters'] as Json)['width'], done['warnings']], ['a red circle', 64, []]);

  assert.equal((await outputOf('jobs list')).length, 2);
  const id = String(added['id']);
  const [shown = {}] = await outputOf('jobs show', [id]);
  assert.equal((shown['image_urls'] as string[]).length, 1);
  const { model, model_hash: modelHash } = shown['parameters'] as Json;
  assert.equal(model, 'demo');
  assert.match(String(modelHash), /^[0-9a-f]{10}$/);
  assert.equal((await outputOf('webhooks list')).length, 1);
  await outputOf('webhooks redrive');
  await outputOf('webhooks deliver', ['--callback-url', receiver.url]);
  await outputOf('jobs retry', [id]);
  await outputOf('jobs cancel', [id]);
  const [refused = {}] = await outputOf('jobs cancel', [id], 2);
  assert.equal((refused['error'] as Json)['code'], 'wrong_job_state');
});

test('the commands about models', async () => {
  const [pulled = {}] = await outputOf('models pull', ['owner/demo']);
  assert.equal(pulled['id'], 'owner/demo');
  const [listed = {}] = await outputOf('models list');
  assert.ok(Number(listed['size_bytes']) > 1e6);
  assert.equal((await outputOf('models show', ['owner/demo'])).length, 1);
});

test('the commands about the machine', async () => {
  const beat = join(folder, 'beat');
  writeFileSync(beat, '');
  const [healthy = {}] = await outputOf('health', ['--heartbeat-file', beat]);
  assert.equal(typeof healthy['age_seconds'], 'number');
  await outputOf('doctor', ['--model', demo]);
  if (process.platform === 'linux' && process.arch === 'x64') {
    // There already, so that nothing is downloaded.
    mkdirSync(cudaLibraryFolder(environment.XDG_DATA_HOME), { recursive: true });
    await outputOf('setup cuda');
  } else await outputOf('setup cuda', [], 5);
  // Nobody listens at this mirror.
  await outputOf('setup openvino', ['--packages-url', 'http://127.0.0.1:9'], 5);
});

test('the commands about API keys', async () => {
  const file = ['--api-keys', join(folder, 'keys')];
  await outputOf('keys create', ['alice', ...file]);
  assert.equal((await outputOf('keys list', file)).length, 1);
  await outputOf('keys revoke', ['alice', ...file]);
});

test('no command with --json was left out', () => {
  // Standard output has one line of a server, and messages of the protocol of `mcp`.
  const all = commandsWithJson(buildProgram(() => undefined)).filter((name) => name !== 'serve' && name !== 'mcp');
  assert.ok(all.length > 10, all.join(', '));
  assert.deepEqual([...walked].toSorted(), all.toSorted());
});
