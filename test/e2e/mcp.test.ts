/** `text2img mcp`: a real process on standard input and output, with the official client and the demo checkpoint. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { decode } from 'fast-png';
import { clientOf, factsOf, imagesOf, REVISIONS, type Revision, textOf } from '../http/mcp/connect.ts';
import { findMongod, NO_MONGOD } from '../servers/find-mongod.ts';
import { GcsServer } from '../servers/gcs-server.ts';
import { MongoServers } from '../servers/mongod.ts';
import { launcher, root, runCli, temporaryFolder } from './run-cli.ts';

const SMALL = { width: 64, height: 64, num_inference_steps: 2, guidance_scale: 1 };
const DEMO = ['--model', join(root, 'models', 'demo')];

async function connect(
  t: TestContext,
  folder: string,
  {
    revision = '2026-07-28',
    args = ['--data-dir', folder, ...DEMO],
    environment = {},
  }: {
    readonly revision?: Revision;
    readonly args?: readonly string[];
    readonly environment?: Readonly<Record<string, string>>;
  } = {},
) {
  const client = clientOf(revision);
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: [launcher, 'mcp', ...args],
    cwd: folder,
    env: {
      PATH: process.env['PATH'] ?? '',
      TMPDIR: folder,
      HF_HOME: join(folder, 'hub'),
      OMP_NUM_THREADS: '1',
      ...environment,
    },
    stderr: 'pipe',
  });
  const errors: string[] = [];
  transport.stderr?.on('data', (chunk: Buffer) => errors.push(chunk.toString()));
  t.after(() => client.close());
  await client.connect(transport);
  return { client, errors };
}

for (const revision of REVISIONS)
  test(`${revision}: an agent gets an image, with its file, and the log on standard error`, async (t) => {
    const folder = temporaryFolder();
    const { client, errors } = await connect(t, folder, { revision });
    const { tools } = await client.listTools();
    assert.equal(tools.length, 4);
    const answer = await client.callTool({
      name: 'generate_image',
      arguments: { prompt: 'a red circle', seed: 5, ...SMALL },
    });
    assert.ok(answer.isError !== true, textOf(answer));
    const [png] = imagesOf(answer);
    assert.ok(png !== undefined);
    assert.deepEqual([decode(png).width, decode(png).height], [64, 64]);
    const [image] = factsOf(answer)['images'] as { seed: number; url: string }[];
    assert.equal(image?.seed, 5);
    assert.ok(existsSync(fileURLToPath(image?.url ?? '')));
    assert.match(errors.join(''), /queue and store opened/);
  });

test('standard output has messages of the protocol only, one a line, and the process ends with its input', async () => {
  const folder = temporaryFolder();
  const child = spawn(process.execPath, [launcher, 'mcp', '--data-dir', folder, ...DEMO, '--log-level', 'debug'], {
    cwd: folder,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  child.stderr.resume();
  const lines: unknown[] = [];
  const reader = createInterface({ input: child.stdout });
  const answered = Promise.withResolvers<void>();
  reader.on('line', (line) => {
    lines.push(JSON.parse(line));
    if (lines.length === 3) answered.resolve();
  });
  const send = (message: object): void => void child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
  send({
    id: 1,
    method: 'initialize',
    params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'a test', version: '1' } },
  });
  send({ method: 'notifications/initialized' });
  child.stdin.write('this is no JSON\n');
  send({ id: 2, method: 'tools/call', params: { name: 'list_models', arguments: {} } });
  send({ id: 3, method: 'tools/call', params: { name: 'generate_image', arguments: { prompt: 'a', ...SMALL } } });
  await answered.promise;
  assert.deepEqual(
    lines.map((line) => (line as { id: number }).id).toSorted((a, b) => a - b),
    [1, 2, 3],
  );
  const ended = once(child, 'exit');
  child.stdin.end();
  assert.deepEqual(await ended, [0, null]);
});

test('the end of input cancels the jobs that a call still waits for, and leaves the others', async () => {
  const folder = temporaryFolder();
  const child = spawn(process.execPath, [launcher, 'mcp', '--data-dir', folder, ...DEMO], {
    cwd: folder,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  child.stderr.resume();
  const reader = createInterface({ input: child.stdout });
  const send = (message: object): void => void child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
  send({
    id: 1,
    method: 'initialize',
    params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'a test', version: '1' } },
  });
  const call = { prompt: 'slow', width: 512, height: 512, num_inference_steps: 1000 };
  send({ id: 2, method: 'tools/call', params: { name: 'generate_image', arguments: { ...call, wait_seconds: 0 } } });
  await once(reader, 'line');
  await once(reader, 'line');
  send({ id: 3, method: 'tools/call', params: { name: 'generate_image', arguments: call } });
  const jobs = async (): Promise<{ status: string; error?: string }[]> => {
    const { stdout } = await runCli({ args: ['jobs', 'list', '--json', '--data-dir', folder] });
    return stdout
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as { status: string; error?: string });
  };
  while ((await jobs()).length < 2);
  child.stdin.end();
  const [code] = (await once(child, 'exit')) as [number | null];
  assert.equal(code, 0);
  const [second, first] = await jobs();
  assert.equal(first?.status, 'pending');
  assert.match(second?.error ?? '', /^cancelled: /);
});

test('a model that does not load is told to the agent, and its job is cancelled', async (t) => {
  const folder = temporaryFolder();
  const { client } = await connect(t, folder, { args: ['--data-dir', folder, '--model', join(root, 'models')] });
  const answer = await client.callTool({ name: 'generate_image', arguments: { prompt: 'a', ...SMALL } });
  assert.equal(answer.isError, true);
  assert.match(textOf(answer), /^(?:model_not_found|invalid_model_index): /);
});

test('agents of one folder share one worker, and the next one takes over when it ends', async (t) => {
  const folder = temporaryFolder();
  const [first, second] = [await connect(t, folder), await connect(t, folder)];
  const generate = async ({ client }: typeof first, prompt: string): Promise<void> => {
    const answer = await client.callTool({ name: 'generate_image', arguments: { prompt, ...SMALL } });
    assert.equal(imagesOf(answer).length, 1, textOf(answer));
  };
  const isWorking = ({ errors }: typeof first): boolean => errors.join('').includes('queue and store opened');
  await generate(first, 'a red circle');
  await generate(second, 'a blue circle');
  assert.deepEqual([isWorking(first), isWorking(second)], [true, false]);
  await first.client.close();
  await generate(second, 'a green circle');
  assert.ok(isWorking(second));
});

const binary = await findMongod();

test('with MongoDB the process only adds prompts, and returns what a worker elsewhere made', {
  skip: binary === undefined ? NO_MONGOD : false,
}, async (t) => {
  await using servers = await MongoServers.standalone(binary ?? '');
  await using gcs = await GcsServer.start();
  const folder = temporaryFolder();
  const environment = { MONGO_URI: servers.uri('agents'), GCS_BUCKET: 'pictures', STORAGE_EMULATOR_HOST: gcs.url };
  const { client, errors } = await connect(t, folder, { args: DEMO, environment });
  const begun = await client.callTool({
    name: 'generate_image',
    arguments: { prompt: 'a red circle', ...SMALL, wait_seconds: 0 },
  });
  const { id } = factsOf(begun);
  assert.equal(factsOf(begun)['status'], 'pending', textOf(begun));
  const worker = await runCli({ args: DEMO, environment });
  assert.equal(worker.code, 0, worker.stderr);
  const done = await client.callTool({ name: 'get_prompt', arguments: { id, wait_seconds: 20 } });
  assert.equal(imagesOf(done).length, 1, textOf(done));
  assert.match(textOf(done), /, gs:\/\/pictures\//);
  assert.ok(!errors.join('').includes('queue and store opened'), 'it has no worker');
});
