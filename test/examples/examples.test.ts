/** The examples do what they say: one image in one process, producers against a real MongoDB, receivers behind the real service and against forgers. */
import assert from 'node:assert/strict';
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { decode } from 'fast-png';
import { Webhook } from 'standardwebhooks';
import { cleanEnvironment, root, runCli, temporaryFolder } from '../e2e/run-cli.ts';
import { findMongod, NO_MONGOD } from '../servers/find-mongod.ts';
import { GcsServer } from '../servers/gcs-server.ts';
import { MongoServers } from '../servers/mongod.ts';

const binary = await findMongod();
const servers = binary === undefined ? undefined : await MongoServers.standalone(binary);
after(() => servers?.[Symbol.asyncDispose]());
const python = process.env['TEXT2IMG_TEST_PYTHON'] ?? 'python3';
const hasPython = spawnSync(python, ['--version']).status === 0;
const hasPymongo = spawnSync(python, ['-c', 'import pymongo']).status === 0;
const NO_PYTHON = `NOT RUN: there is no Python at ${python}; set TEXT2IMG_TEST_PYTHON. The example of a receiver in Python was not tested.`;
const NO_PYMONGO = `NOT RUN: the Python at ${python} has no pymongo; set TEXT2IMG_TEST_PYTHON. The example of a producer in Python was not tested.`;

const SECRET = `whsec_${randomBytes(32).toString('base64')}`;
const PROMPTS = ['a red circle on a white background', 'a blue square, "quoted" \\ ünï'];

const RECEIVERS = [
  { name: 'webhook-receiver.ts', program: process.execPath, skip: {} },
  { name: 'webhook_receiver.py', program: python, skip: hasPython ? {} : { skip: NO_PYTHON } },
];
const PRODUCERS = [
  { name: 'producer.ts', program: process.execPath, skip: {} },
  { name: 'producer.py', program: python, skip: hasPymongo ? {} : { skip: NO_PYMONGO } },
];

interface Example extends AsyncDisposable {
  readonly child: ChildProcessWithoutNullStreams;
  /** Waits until it has printed as many lines. */
  readonly printed: (count: number) => Promise<Record<string, string>[]>;
  readonly url: string;
}

function startExample(program: string, args: readonly string[], environment: Record<string, string>) {
  const [name = '', ...rest] = args;
  const child = spawn(program, [join('examples', name), ...rest], { cwd: root, env: cleanEnvironment(environment) });
  process.once('exit', () => child.kill('SIGKILL'));
  const texts = { output: '', errors: '' };
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (texts.output += chunk));
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (texts.errors += chunk));
  return { child, texts };
}

async function startReceiver({ name, program }: { readonly name: string; readonly program: string }): Promise<Example> {
  const { child, texts } = startExample(program, [name], { TEXT2IMG_WEBHOOK_SECRET: SECRET, PORT: '0' });
  const ended = once(child, 'close');
  while (!/"port":\s*\d+/.test(texts.errors)) {
    const closed = await Promise.race([ended, once(child.stderr, 'data').then(() => undefined)]);
    assert.equal(closed, undefined, texts.errors);
  }
  const port = /"port":\s*(\d+)/.exec(texts.errors)?.[1];
  return {
    child,
    printed: async (count) => {
      while (linesOf(texts.output).length < count && child.exitCode === null)
        await Promise.race([ended, once(child.stdout, 'data')]);
      return linesOf(texts.output);
    },
    url: `http://127.0.0.1:${port}/`,
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

function linesOf(output: string): Record<string, string>[] {
  const whole = output.split('\n').slice(0, -1);
  return whole.map((line) => JSON.parse(line) as Record<string, string>);
}

test('one-image.ts generates in its one process the pixels that "text2img generate" makes', async () => {
  const folder = temporaryFolder();
  const [one, other] = [join(folder, 'one.png'), join(folder, 'other.png')];
  const { child, texts } = startExample(process.execPath, ['one-image.ts', one], {});
  const [code] = (await once(child, 'close')) as [number];
  assert.equal(code, 0, texts.errors);
  assert.equal(texts.output, `${one}\n`);
  assert.match(texts.errors, /^encode 0\/20\n(?:denoise \d+\/20\n){20}decode 20\/20\n$/);
  const words = [
    '--model',
    join(root, 'models/demo'),
    '--prompt',
    PROMPTS[0] as string,
    '--seed',
    '0',
    '--device',
    'cpu',
  ];
  const generated = await runCli({ args: ['generate', ...words, '--num-inference-steps', '20', '--output', other] });
  assert.equal(generated.code, 0, generated.stderr);
  assert.deepEqual(decode(readFileSync(one)).data, decode(readFileSync(other)).data);
});

test('the launch configurations of the editor name files that are there', () => {
  const { configurations } = JSON.parse(readFileSync(join(root, '.vscode/launch.json'), 'utf8')) as {
    configurations: readonly { readonly program?: string; readonly name: string }[];
  };
  const programs = configurations.flatMap(
    ({ program = '' }) => /^\$\{workspaceFolder\}\/(.*)$/.exec(program)?.[1] ?? [],
  );
  assert.deepEqual(programs, ['examples/one-image.ts', 'src/cli/entry.ts']);
  for (const program of programs) assert.ok(readFileSync(join(root, program)).length > 0);
  assert.ok(configurations.some(({ program }) => program === '${file}'));
});

for (const [index, producer] of PRODUCERS.entries()) {
  const receiver = RECEIVERS[index] as (typeof RECEIVERS)[number];
  const skip = servers === undefined ? { skip: NO_MONGOD } : { ...receiver.skip, ...producer.skip };
  test(`what ${producer.name} puts into the queue becomes images, and ${receiver.name} prints them`, skip, async () => {
    const uri = (servers as MongoServers).uri(`examples${index}`);
    await using gcs = await GcsServer.start();
    await using hook = await startReceiver(receiver);
    const options = JSON.stringify({ width: 64, height: 64, num_inference_steps: 2 });
    const { child, texts } = startExample(producer.program, [producer.name, ...PROMPTS], {
      MONGO_URI: uri,
      PROMPT_OPTIONS: options,
    });
    const ended = once(child, 'close') as Promise<[number | null]>;
    // The service drains what it finds, so it is started until the producer has all that it waits for.
    while (child.exitCode === null) {
      const service = await runCli({
        args: [
          '--mongo-uri',
          uri,
          '--gcs-bucket',
          'pictures',
          '--callback-url',
          hook.url,
          '--model',
          join(root, 'models/demo'),
        ],
        environment: { STORAGE_EMULATOR_HOST: gcs.url, TEXT2IMG_WEBHOOK_SECRET: SECRET },
      });
      assert.equal(service.code, 0, service.stderr);
      await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 1000))]);
    }
    const [code] = await ended;
    assert.equal(code, 0, texts.errors);
    const jobs = linesOf(texts.output);
    assert.deepEqual(jobs.map(({ text }) => `${text}`).toSorted(), PROMPTS.toSorted());
    for (const { id, status, imageUrl } of jobs)
      assert.deepEqual([status, imageUrl], ['completed', `gs://pictures/generated/${id}.png`]);
    const told = (await hook.printed(PROMPTS.length)).map(
      (result) => `${result['prompt_id']} ${result['prompt']} ${result['image_url']}`,
    );
    assert.deepEqual(told.toSorted(), jobs.map(({ id, text, imageUrl }) => `${id} ${text} ${imageUrl}`).toSorted());
  });
}

for (const receiver of RECEIVERS) {
  test(
    `${receiver.name} believes signed webhooks only, of the last minutes, and each once`,
    receiver.skip,
    async () => {
      await using hook = await startReceiver(receiver);
      const body = JSON.stringify({
        results: [{ prompt_id: 'ä', prompt: '🦊' }],
        errors: [{ prompt_id: 'b', error: 'x' }],
      });
      const post = async (changes: {
        readonly id?: string;
        readonly ageSeconds?: number;
        readonly secret?: string;
        readonly sent?: string;
        readonly more?: string;
      }) => {
        const { id = 'msg_1', ageSeconds = 0, secret = SECRET, sent = body, more = '' } = changes;
        const when = new Date(Date.now() - ageSeconds * 1000);
        const signature = more + new Webhook(secret).sign(id, when, body);
        const timestamp = String(Math.floor(when.getTime() / 1000));
        const headers = { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signature };
        return (await fetch(hook.url, { method: 'POST', body: sent, headers })).status;
      };
      const foreign = `whsec_${randomBytes(32).toString('base64')}`;
      assert.equal(await post({ secret: foreign }), 401, 'another secret');
      assert.equal(await post({ sent: `${body} ` }), 401, 'another body');
      assert.equal(await post({ ageSeconds: 3600 }), 401, 'an old one');
      assert.equal(await post({ ageSeconds: -3600 }), 401, 'one from the future');
      assert.equal((await fetch(hook.url, { method: 'POST', body })).status, 401, 'no signature');
      assert.deepEqual(await hook.printed(0), []);
      assert.equal(await post({}), 204);
      assert.equal(await post({}), 204, 'a second time');
      assert.equal(
        await post({ id: 'msg_2', more: `${new Webhook(foreign).sign('msg_2', new Date(), body)} ` }),
        204,
        'secrets are rotated',
      );
      const results = [
        { prompt_id: 'ä', prompt: '🦊' },
        { prompt_id: 'b', error: 'x' },
      ];
      assert.deepEqual(await hook.printed(4), [...results, ...results]);
    },
  );
}
