/** A model by its hub id, from the command line: fetched, listed, shown, and drawn with, also when the hub is gone. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { readGenerationParameters } from '../../src/image/read-parameters.ts';
import { COMMIT, HubServer, TOKEN } from '../servers/hub-server.ts';
import { root, runCli, temporaryFolder } from './run-cli.ts';

const demo = join(root, 'models', 'demo');
const files = new Map(
  readdirSync(demo, { recursive: true, encoding: 'utf8' })
    .filter((name) => statSync(join(demo, name)).isFile())
    .map((name) => [name, readFileSync(join(demo, name))]),
);
const hub = await HubServer.start();
after(() => hub[Symbol.asyncDispose]());
hub.repositories.set('owner/demo', { files, access: 'gated' });
hub.repositories.set('stable-diffusion-v1-5/stable-diffusion-v1-5', { files });

test('a gated model is fetched with a token, drawn with by its name, and drawn with again offline', async () => {
  const folder = temporaryFolder();
  const environment = {
    HF_ENDPOINT: hub.url,
    HF_HOME: join(folder, 'hf'),
    HF_TOKEN: '',
    TEXT2IMG_LOG_FILE: join(folder, 'log'),
  };
  const refused = await runCli({ args: ['models', 'pull', 'owner/demo'], environment });
  assert.equal(refused.code, 4, refused.stderr);
  assert.match(refused.stderr, /owner\/demo is gated.*HF_TOKEN.*\[model_gated\]/);

  const pulled = await runCli({
    args: ['models', 'pull', 'owner/demo'],
    environment: { ...environment, HF_TOKEN: TOKEN },
  });
  assert.equal(pulled.code, 0, pulled.stderr);
  assert.equal(pulled.stdout.trim(), join(folder, 'hf', 'hub', 'models--owner--demo', 'snapshots', COMMIT));
  assert.match(pulled.stderr, /^owner\/demo: 21 of 21 MB, [\d.]+ MB\/s, [\d.]+ s$/m);
  assert.match(
    (await runCli({ args: ['models', 'list'], environment })).stdout,
    /^owner\/demo +aaaaaaaaaa main +\S+ MB +ready\n$/,
  );
  const shown = (await runCli({ args: ['models', 'show', 'owner/demo'], environment })).stdout;
  for (const row of [
    /^pipeline +StableDiffusionPipeline$/m,
    /^prediction +v_prediction$/m,
    /^scheduler settings .*timestep_spacing trailing, .*rescale_betas_zero_snr true/m,
  ])
    assert.match(shown, row);
  assert.equal((await runCli({ args: ['models', 'show', 'owner/other'], environment })).code, 2);

  const args = [
    'generate',
    '--model',
    'owner/demo',
    '--offline',
    '--prompt',
    'a red circle',
    '--num-inference-steps',
    '2',
    '--width',
    '64',
    '--height',
    '64',
    '--seed',
    '1',
  ];
  const drawn = await runCli({ args: [...args, '--output', join(folder, 'x.png')], environment });
  assert.equal(drawn.code, 0, drawn.stderr);
  assert.doesNotMatch(drawn.stderr, / MB/, 'what is in the cache is no download');
  assert.equal(readGenerationParameters(readFileSync(join(folder, 'x.png'))).modelName, 'owner/demo');
  for (const output of [pulled, drawn, refused]) assert.ok(!`${output.stdout}${output.stderr}`.includes(TOKEN));
});

test('the name that stands in old scripts leads to where the model lives now', async () => {
  const environment = { HF_ENDPOINT: hub.url, HF_HOME: temporaryFolder() };
  const pulled = await runCli({ args: ['models', 'pull', 'runwayml/stable-diffusion-v1-5', '--json'], environment });
  assert.equal(pulled.code, 0, pulled.stderr);
  assert.equal((JSON.parse(pulled.stdout) as { id: string }).id, 'stable-diffusion-v1-5/stable-diffusion-v1-5');
});

test('a model that is neither a folder nor on the hub is refused before anything is claimed', async () => {
  const environment = { HF_ENDPOINT: hub.url, HF_HOME: temporaryFolder(), TEXT2IMG_DATA_DIR: temporaryFolder() };
  await runCli({ args: ['enqueue', '--prompt', 'x'], environment });
  const missing = await runCli({ args: ['run', '--model', 'owner/nothing'], environment });
  assert.deepEqual(
    [missing.code, /owner\/nothing.*\[model_not_found\]/.test(missing.stderr)],
    [4, true],
    missing.stderr,
  );
  const list = await runCli({ args: ['jobs', 'list', '--json'], environment });
  assert.equal((JSON.parse(list.stdout) as { status: string }).status, 'pending');
});

test('a database or a bucket that does not answer is refused before anything is asked of the hub', async () => {
  const folder = temporaryFolder();
  const dead = 'mongodb://127.0.0.1:1/app?serverSelectionTimeoutMS=300';
  const common = { HF_ENDPOINT: hub.url, HF_HOME: join(folder, 'hf'), TEXT2IMG_DATA_DIR: join(folder, 'data') };
  const args = ['run', '--model', 'owner/demo'];
  const unreachable = { ...common, MONGO_URI: dead, GCS_BUCKET: 'images', STORAGE_EMULATOR_HOST: 'http://127.0.0.1:1' };
  for (const [environment, code, says] of [
    [unreachable, 5, /\[queue_failed\]/],
    [{ ...unreachable, MONGO_URI: 'mongodb://127.0.0.1:1' }, 2, /names no database.*\[invalid_option\]/],
    [{ ...unreachable, GCS_BUCKET: '' }, 2, /\[conflicting_options\]/],
    [
      { ...common, TEXT2IMG_WEBHOOK_SECRET: `whsec_${'A'.repeat(32)}` },
      2,
      /\[(?:conflicting_options|invalid_option)\]/,
    ],
    [{ ...common, TEXT2IMG_DATA_DIR: '/dev/null/data' }, 5, /\[(?:queue_failed|store_unwritable)\]/],
  ] as const) {
    const before = hub.requests.length;
    const refused = await runCli({ args, environment });
    assert.deepEqual([refused.code, says.test(refused.stderr)], [code, true], refused.stderr);
    assert.equal(hub.requests.length, before, `the hub was asked before: ${refused.stderr}`);
  }
});

test('a name that is no model is refused before the data folder is made', async () => {
  const folder = join(temporaryFolder(), 'data');
  const { code, stderr } = await runCli({
    args: ['run', '--model', './no/such/folder'],
    environment: { TEXT2IMG_DATA_DIR: folder, HF_ENDPOINT: hub.url },
  });
  assert.equal(code, 4, stderr);
  assert.match(stderr, /\[model_not_found\]/);
  assert.ok(!existsSync(folder));
});
