/** Commands that only look make nothing, and what leads to another place than was meant is refused before anything happens. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { runCli, temporaryFolder } from './run-cli.ts';

const all = temporaryFolder();
const newFolder = (): string => mkdtempSync(join(all, 'x'));

for (const [args, code] of [
  [['jobs', 'list'], 0],
  [['jobs', 'list', '--json', '--status', 'error'], 0],
  [['jobs', 'show', '7'], 2],
  [['jobs', 'retry', '7'], 2],
  [['jobs', 'cancel', '7'], 2],
  [['webhooks', 'list'], 0],
  [['webhooks', 'redrive'], 0],
  [['doctor'], 0],
  [['models', 'list'], 0],
  [['models', 'show', 'owner/name'], 2],
  [['health', '--heartbeat-file', 'beat'], 5],
] as const) {
  test(`${args.join(' ')} makes no file and no folder where there is no queue`, async () => {
    const folder = newFolder();
    const home = join(folder, 'home');
    const work = join(folder, 'work');
    for (const path of [home, work]) mkdirSync(path);
    const environment = { HOME: home, XDG_CACHE_HOME: '', HF_HOME: '' };
    const { code: found, stdout, stderr } = await runCli({ args, cwd: work, environment });
    // A machine without much memory is told so.
    if (args[0] !== 'doctor') assert.equal(found, code, stderr);
    else assert.match(stdout, /does not exist yet/);
    assert.deepEqual([readdirSync(work), readdirSync(home)], [[], []]);
  });
}

test('models show of a folder says how a folder is checked, and an empty cache is counted', async () => {
  const folder = newFolder();
  mkdirSync(join(folder, 'own', 'demo'), { recursive: true });
  const shown = await runCli({ args: ['models', 'show', 'own/demo'], cwd: folder });
  assert.equal(shown.code, 2);
  assert.match(shown.stderr, /"own\/demo" is a folder.*"text2img doctor --model own\/demo".*\[invalid_option\]\n$/);
  const listed = await runCli({ args: ['models', 'list'], environment: { HF_HOME: folder } });
  assert.equal(listed.stderr, `0 models in ${join(folder, 'hub')}\n`);
});

test('models pull of a folder says that it is here already, and which option takes it', async () => {
  const folder = newFolder();
  mkdirSync(join(folder, 'own'));
  const pulled = await runCli({ args: ['models', 'pull', './own'], cwd: folder, environment: { HF_HOME: folder } });
  assert.equal(pulled.code, 2);
  assert.match(pulled.stderr, /"\.\/own" is on this machine.*Give it to --model\. \[invalid_option\]\n$/);
  assert.deepEqual(readdirSync(folder), ['own']);
});

test('doctor advises for --vae where the model is good without it, and for the model where it is not', async () => {
  const folder = newFolder();
  const missing = join(folder, 'missing');
  const model = async (...args: readonly string[]): Promise<string> => {
    const { code, stdout } = await runCli({ args: ['doctor', ...args], cwd: folder, environment: { HF_HOME: folder } });
    assert.equal(code, 5, stdout);
    return /✗ model .*\n +→ .*\n/.exec(stdout)?.[0] ?? stdout;
  };
  writeFileSync(join(folder, 'vae.safetensors'), 'no weights');
  assert.match(
    await model('--vae', 'vae.safetensors'),
    /→ check the files of the autoencoder, or name another .*--vae/,
  );
  assert.match(
    await model('--vae', missing),
    /The autoencoder .*missing.*\[model_not_found\]\n.*--vae, or leave it out/,
  );
  const onHub = await model('--vae', 'owner/vae');
  assert.match(onHub, /the repository owner\/vae at revision "main" is not in the cache .*\[model_not_found\] Doctor/);
  assert.match(onHub, /it did not check the autoencoder\. The model without --vae is in order: .*demo/);
  assert.match(await model('--vae', missing, '--model', join(folder, 'none')), /The model .*none.*\n.* with --model\n/);
});

test('doctor tells that a file stands where the folder of the queue should be made', async () => {
  const folder = newFolder();
  writeFileSync(join(folder, 'file'), '');
  const { code, stdout } = await runCli({ args: ['doctor', '--data-dir', join(folder, 'file', 'deeper')] });
  assert.equal(code, 5);
  assert.match(stdout, /✗ store .*is no folder.*store_unwritable/);
  assert.match(stdout, /\n\n\d problems?: .*store\n$/);
});

test('doctor advises for what it met: a database that is away and a missing key are no matter of --data-dir or of space', async () => {
  const environment = {
    MONGO_URI: 'mongodb://127.0.0.1:1/app?serverSelectionTimeoutMS=300',
    GCS_BUCKET: 'pictures',
    GOOGLE_APPLICATION_CREDENTIALS: join(newFolder(), 'missing.json'),
    HF_HOME: newFolder(),
  };
  const { code, stdout } = await runCli({ args: ['doctor', '--json'], environment });
  assert.equal(code, 5);
  type Finding = { readonly name: string; readonly detail: string; readonly advice?: string };
  const { findings } = JSON.parse(stdout) as { readonly findings: readonly Finding[] };
  const of = (name: string): Finding => findings.find((finding) => finding.name === name) as Finding;
  assert.match(of('queue').detail, /\[queue_failed\]$/);
  assert.match(of('queue').advice ?? '', /start MongoDB, or correct --mongo-uri/);
  assert.deepEqual(of('prompts'), { name: 'prompts', status: 'not_checked', detail: 'not checked' });
  assert.match(of('store').detail, /\[store_unwritable\]$/);
  assert.match(of('store').advice ?? '', /GOOGLE_APPLICATION_CREDENTIALS/);
  assert.match(of('model').detail, /not in the cache .*\[model_not_found\]$/);
  assert.doesNotMatch(stdout, /--data-dir|free some space|--offline/);
  // The place in the source of a library that failed.
  assert.doesNotMatch(stdout, /\.cc:\d+|<lambda/);
});

test('what is wrong with options is told before the hub is asked', async (t) => {
  const asked: string[] = [];
  const hub = createServer((request, response) => {
    asked.push(request.url ?? '');
    response.writeHead(500).end();
  });
  await new Promise<void>((resolve) => hub.listen(0, '127.0.0.1', resolve));
  t.after(() => hub.close());
  const folder = newFolder();
  const environment = {
    MODEL_ID: 'owner/name',
    HF_ENDPOINT: `http://127.0.0.1:${(hub.address() as AddressInfo).port}`,
    HF_HOME: join(folder, 'hf'),
    CALLBACK_URL: 'http://127.0.0.1:9/',
    TEXT2IMG_DATA_DIR: join(folder, 'data'),
  };
  const secret = `whsec_${randomBytes(32).toString('base64')}`;
  const wrong: readonly (readonly [args: string[], more: Record<string, string>, says: RegExp])[] = [
    [['run'], { TEXT2IMG_WEBHOOK_SECRET: 'whsec_hunter2' }, /^text2img: TEXT2IMG_WEBHOOK_SECRET \(not shown\)/m],
    [['run'], { TEXT2IMG_WEBHOOK_SECRET: secret, CALLBACK_URL: '' }, /--webhook-secret needs --callback-url/],
    [['run', '--mongo-uri=', '--gcs-bucket='], {}, /^text2img: --mongo-uri \(not shown\)/m],
    [['run', '--signed-urls'], {}, /--signed-urls needs/],
    [['run', '--data-dir='], {}, /^text2img: --data-dir ""/m],
    [['run'], { TEXT2IMG_GCS_BUCKET: 'pictures' }, /TEXT2IMG_GCS_BUCKET .*GCS_BUCKET/],
    [['generate', '--prompt', 'a', '--output='], {}, /^text2img: --output ""/m],
    [['run', '--heartbeat-file', folder], {}, /is a folder/],
  ];
  for (const [args, more, says] of wrong) {
    const { code, stderr } = await runCli({ args, cwd: folder, environment: { ...environment, ...more } });
    assert.equal(code, 2, stderr);
    assert.match(stderr, says);
    assert.doesNotMatch(stderr, /hunter2/);
  }
  assert.deepEqual(asked, []);
  assert.deepEqual(readdirSync(folder), []);
});

test('a slip in a variable’s name is warned of once, in one line', async () => {
  const folder = newFolder();
  const environment = { TEXT2IMG_MAX_ATTEMPT: '1', TEXT2IMG_LEASE: '5', TEXT2IMG_DATA_DIR: folder };
  const { code, stderr } = await runCli({ args: ['jobs', 'list'], environment });
  assert.equal(code, 0);
  const lines = stderr.split('\n').filter((line) => line.includes('TEXT2IMG_'));
  assert.equal(lines.length, 1);
  assert.match(lines[0] ?? '', /WARNING.*TEXT2IMG_LEASE.*TEXT2IMG_MAX_ATTEMPT \(perhaps TEXT2IMG_MAX_ATTEMPTS\)/);
});

test('a list goes on behind the cursor of a job, and a cursor that is none is refused', async () => {
  const folder = newFolder();
  const list = (...args: readonly string[]): ReturnType<typeof runCli> =>
    runCli({ args: ['jobs', 'list', '--json', '--data-dir', folder, ...args] });
  const jobsIn = (stdout: string): { readonly text: string; readonly cursor: string }[] =>
    stdout.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line)]));
  const stdin = [1, 2, 3].map((n) => JSON.stringify({ text: `${n}` })).join('\n');
  const added = await runCli({ args: ['enqueue', '--data-dir', folder, '-'], stdin });
  assert.equal(added.code, 0, added.stderr);
  const [third, second] = jobsIn((await list('--limit', '2')).stdout);
  assert.deepEqual([third?.text, second?.text], ['3', '2']);
  assert.deepEqual(
    jobsIn((await list('--after', second?.cursor ?? '')).stdout).map(({ text }) => text),
    ['1'],
  );
  const { code, stderr } = await list('--after', 'page-2');
  assert.equal(code, 2);
  assert.match(stderr, /The cursor "page-2" is not of a list of this queue\..*\[invalid_cursor\]/);
});

test('doctor names half of the settings once, in the words that the user gave, and checks nothing that needs the rest', async () => {
  for (const [args, environment, line, advice] of [
    [[], { MONGO_URI: 'mongodb://127.0.0.1:1/app' }, 'GCS_BUCKET is not set', 'add it, or remove MONGO_URI'],
    [['--gcs-bucket', 'images'], {}, '--mongo-uri is not given', 'add it, or remove --gcs-bucket'],
  ] as const) {
    const { code, stdout } = await runCli({ args: ['doctor', ...args], environment });
    assert.equal(code, 5);
    const lines = stdout.trimEnd().split('\n');
    const at = lines.findIndex((one) => one.startsWith('✗ settings'));
    assert.deepEqual(
      lines.slice(at, at + 6).map((one) => one.trim().replace(/ {2,}/, ' ')),
      [
        `✗ settings ${line}`,
        `→ ${advice}`,
        ...['model', 'queue', 'prompts', 'store'].map((name) => `– ${name} not checked`),
      ],
    );
    assert.match(lines.at(-1) ?? '', /^\d problems?: .*settings$/);
  }
});

test('doctor connects to the webhook and sends nothing, says what it tried, and never shows the path', async (t) => {
  const asked: string[] = [];
  const receiver = createServer((request, response) => {
    asked.push(request.url ?? '');
    response.end();
  });
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
  t.after(() => receiver.close());
  const { port } = receiver.address() as AddressInfo;
  const look = async (callbackUrl: string, more: Record<string, string> = {}): Promise<string> => {
    const environment = { CALLBACK_URL: callbackUrl, TEXT2IMG_DATA_DIR: newFolder(), ...more };
    const { stdout } = await runCli({ args: ['doctor'], environment });
    assert.doesNotMatch(stdout, /hunter2/);
    return stdout;
  };
  const reached = await look(`http://127.0.0.1:${port}/hunter2`);
  assert.match(reached, new RegExp(`✓ webhook +connected to 127.0.0.1:${port}; nothing was sent\n`));
  assert.deepEqual(asked, []);
  assert.match(
    await look(`https://127.0.0.1:${port}/hunter2`),
    /✗ webhook +no connection to 127.0.0.1:\d+: .*\n.*correct CALLBACK_URL/,
  );
  assert.match(await look('http://127.0.0.1:1/hunter2'), /✗ webhook +no connection to 127.0.0.1:1: .*ECONNREFUSED/);
  assert.match(
    await look('http://no-such-host.invalid/hunter2'),
    /✗ webhook +the name of no-such-host.invalid:80 cannot be resolved/,
  );
  const proxied = { HTTP_PROXY: 'http://127.0.0.1:1', NO_PROXY: '' };
  assert.match(
    await look('http://hooks.example/hunter2', proxied),
    /✗ webhook +no connection to the proxy 127.0.0.1:1 for hooks.example/,
  );
});
