/** Variables that are none of ours, those of the hub and of Google, users without a home, and what children are given. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { childEnvironment } from '../../src/config/child-environment.ts';
import { stated } from '../../src/config/environment.ts';
import { googleSettings } from '../../src/config/google.ts';
import { hubEnvironment } from '../../src/config/hub.ts';
import { loadWithSecrets } from './load-with-secrets.ts';
import { environmentNameOf, OPTION_NAMES, OPTIONS, type OptionSpec } from '../../src/config/options.ts';
import { startupWarnings } from '../../src/config/startup-warnings.ts';
import { cacheHome, dataHome } from '../../src/config/user-folders.ts';

const HOME = { HOME: '/home/zoe' };

function unknownIn(environment: Record<string, string>): string | undefined {
  return startupWarnings('run', { ...HOME, ...environment })[0]?.fields['variables'];
}

test('unknown variables are named in one warning, each with the one that was perhaps meant, never with their values', () => {
  assert.equal(
    unknownIn({
      TEXT2IMG_BATCH_SIZE: 'hunter2',
      TEXT2IMG_GUIDANCE_SCAL: '7',
      TEXT2IMG_LOG_LEVEL: 'x',
      TEXT2IMG_ZZZZZZZZZZZZZ: '1',
    }),
    'TEXT2IMG_BATCH_SIZE (perhaps BATCH_SIZE), TEXT2IMG_GUIDANCE_SCAL (perhaps TEXT2IMG_GUIDANCE_SCALE), TEXT2IMG_LOG_LEVEL (perhaps LOG_LEVEL), TEXT2IMG_ZZZZZZZZZZZZZ',
  );
  assert.deepEqual(startupWarnings('health', { TEXT2IMG_NONSENSE: '1' }), []);
  const many = Object.fromEntries(
    Array.from({ length: 5000 }, (_, index) => [`TEXT2IMG_${index}\u001b${'x'.repeat(90)}`, '1']),
  );
  const told = unknownIn(many) ?? '';
  assert.ok(told.length < 3000 && told.endsWith('and 4980 more'));
  assert.ok(!told.includes('\u001b'));
});

test('no variable of an option, of the tests, of the image or of Kubernetes is unknown', () => {
  const ours = OPTION_NAMES.flatMap((name) => {
    const variable = environmentNameOf(name);
    return (OPTIONS[name] as OptionSpec).secret ? [variable, `${variable}_FILE`] : [variable];
  });
  const others = {
    TEXT2IMG_TEST_PYTHON: '/usr/bin/python3',
    TEXT2IMG_CONTAINER: '1',
    TEXT2IMG_SERVICE_HOST: '10.0.0.7',
    TEXT2IMG_SERVICE_PORT: '80',
    TEXT2IMG_SERVICE_PORT_HTTP: '80',
    TEXT2IMG_PORT: 'tcp://10.0.0.7:80',
    TEXT2IMG_PORT_80_TCP: 'tcp://10.0.0.7:80',
    TEXT2IMG_PORT_80_TCP_ADDR: '10.0.0.7',
    TEXT2IMG_WORKER_PORT: 'udp://10.0.0.8:81',
    TEXT2IMG_WORKER_PORT_81_UDP_PROTO: 'udp',
    OTHER_TEXT2IMG_X: '1',
  };
  assert.equal(unknownIn({ ...Object.fromEntries(ours.map((name) => [name, 'x'])), ...others }), undefined);
  assert.equal(unknownIn({ TEXT2IMG_MY_PORT: '8080' }), 'TEXT2IMG_MY_PORT (perhaps TEXT2IMG_PORT)');
  assert.equal(stated(others, 'TEXT2IMG_PORT'), undefined);
  assert.equal(stated({ TEXT2IMG_PORT: '8080' }, 'TEXT2IMG_PORT'), '8080');
});

test('a misnamed database or bucket is refused with its right name, by every command that takes one', async () => {
  for (const [wrong, right] of [
    ['TEXT2IMG_MONGO_URI', 'MONGO_URI'],
    ['TEXT2IMG_MONGO_URI_FILE', 'MONGO_URI_FILE'],
    ['TEXT2IMG_GCS_BUCKET', 'GCS_BUCKET'],
  ] as const)
    for (const command of ['run', 'enqueue', 'jobs', 'webhooks', 'doctor'] as const)
      await assert.rejects(
        loadWithSecrets({ command, flags: {}, environment: { [wrong]: 'hunter2' } }),
        (error: Error & { code?: string }) => {
          assert.equal(error.code, 'invalid_option');
          assert.ok(error.message.includes(`${wrong} `) && error.message.includes(` ${right} `), error.message);
          assert.doesNotMatch(error.message, /hunter2/);
          return true;
        },
      );
  await loadWithSecrets({ command: 'generate', flags: {}, environment: { TEXT2IMG_MONGO_URI: 'x' } });
});

test('the hub’s variables are trimmed, ~ is the home folder, and the usual places are the Python tools’', async () => {
  assert.deepEqual(
    await hubEnvironment({
      ...HOME,
      HF_ENDPOINT: ' https://mirror.example/hf/ ',
      HF_TOKEN: 'any-token\n',
      HF_HOME: '~/hf',
    }),
    {
      endpoint: 'https://mirror.example/hf',
      cacheFolder: '/home/zoe/hf/hub',
      token: 'any-token',
      offline: false,
    },
  );
  const usual = await hubEnvironment({ ...HOME, HF_HUB_OFFLINE: 'True ' });
  assert.equal(usual.cacheFolder, '/home/zoe/.cache/huggingface/hub');
  assert.equal(usual.endpoint, 'https://huggingface.co');
  assert.equal(usual.offline, true);
  assert.equal((await hubEnvironment({ ...HOME, HF_HUB_OFFLINE: '', TRANSFORMERS_OFFLINE: 'on' })).offline, true);
  assert.equal((await hubEnvironment({ ...HOME, TRANSFORMERS_OFFLINE: 'no' })).offline, false);
  // huggingface_hub asks the second one only where the first is not set.
  assert.equal((await hubEnvironment({ ...HOME, HF_HUB_OFFLINE: '0', TRANSFORMERS_OFFLINE: '1' })).offline, false);
  assert.equal(
    (await hubEnvironment({ ...HOME, XDG_CACHE_HOME: '/c', HF_HUB_CACHE: '~/m' })).cacheFolder,
    '/home/zoe/m',
  );
});

for (const [variable, value] of [
  ['HF_TOKEN', 'hf_hunter2\nx'],
  ['HF_TOKEN', 'hf hunter2'],
  ['HUGGING_FACE_HUB_TOKEN', 'hf_hunter2é'],
  ['HF_ENDPOINT', 'https://u:hunter2@mirror.example/'],
  ['HF_ENDPOINT', 'mirror.example/hunter2'],
  ['HF_ENDPOINT', 'file:///hunter2'],
  ['HF_ENDPOINT', 'https://mirror.example/?t=hunter2'],
  ['HF_ENDPOINT', 'https://'],
] as const) {
  test(`${variable}=${JSON.stringify(value)} is refused with the configuration, by name, without what may be secret`, async () => {
    for (const command of ['run', 'generate', 'models', 'doctor'] as const)
      await assert.rejects(
        loadWithSecrets({ command, flags: {}, environment: { ...HOME, [variable]: value } }),
        (error: Error & { code?: string }) => {
          assert.equal(error.code, 'invalid_option');
          assert.ok(error.message.startsWith(`${variable} `), error.message);
          assert.doesNotMatch(error.message, /hunter2/);
          return true;
        },
      );
  });
}

test('the token of a sign-in is read; one with a line break is refused by its file, a folder in its place is none', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'text2img-hub-'));
  try {
    writeFileSync(join(folder, 'token'), ' hf_signed-in\n');
    assert.equal((await hubEnvironment({ HF_HOME: folder })).token, 'hf_signed-in');
    writeFileSync(join(folder, 'token'), 'hf_hunter2\nhf_x');
    await assert.rejects(
      hubEnvironment({ HF_HOME: folder }),
      (error: Error) => error.message.includes('token') && !error.message.includes('hunter2'),
    );
    assert.equal((await hubEnvironment({ HF_HOME: folder, HF_TOKEN_PATH: folder })).token, undefined);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('an emulator’s address with a password is refused unquoted, also before anything else happens', async () => {
  const environment = {
    STORAGE_EMULATOR_HOST: 'http://u:hunter2@127.0.0.1:1/hunter2',
    MONGO_URI: 'mongodb://h/d',
    GCS_BUCKET: 'pictures',
  };
  await assert.rejects(loadWithSecrets({ command: 'run', flags: {}, environment }), (error: Error) => {
    assert.match(error.message, /^STORAGE_EMULATOR_HOST "http:\/\/127\.0\.0\.1:1" \(the rest is not shown\) /);
    return true;
  });
});

test('a key file is named to Google’s client as it was understood', () => {
  const environment = Object.freeze({ ...HOME, GOOGLE_APPLICATION_CREDENTIALS: '~/key.json\n' });
  const { credentialsFile, variables } = googleSettings(environment);
  assert.equal(credentialsFile, '/home/zoe/key.json');
  assert.deepEqual(variables, { GOOGLE_APPLICATION_CREDENTIALS: '/home/zoe/key.json' });
});

test('XDG folders are taken as they are, else they lie in the home folder', () => {
  assert.equal(cacheHome({ ...HOME, XDG_CACHE_HOME: '/c\n' }), '/c');
  assert.equal(dataHome({ ...HOME }), '/home/zoe/.local/share');
  assert.equal(dataHome({ ...HOME, XDG_DATA_HOME: '~/d' }), '/home/zoe/d');
});

test('a child gets what loaders, drivers and runtimes read, and no secret whatever it is called', () => {
  const given = childEnvironment(
    {
      PATH: '/bin',
      HOME: '/home/zoe',
      LD_LIBRARY_PATH: '/lib',
      LD_PRELOAD: '/jemalloc.so',
      CUDA_VISIBLE_DEVICES: '1',
      OMP_NUM_THREADS: '2',
      LC_ALL: 'C',
      ORT_DISABLE_TELEMETRY: '0',
      MONGO_URI: 'a',
      MONGO_URI_FILE: 'a',
      TEXT2IMG_WEBHOOK_SECRET: 'b',
      HF_TOKEN: 'c',
      NODE_AUTH_TOKEN: 'd',
      ORT_API_KEY: 'e',
      npm_config__auth: 'f',
      KUBERNETES_SERVICE_HOST: 'g',
    },
    { libraryFolder: '/cuda' },
  );
  assert.deepEqual(given, {
    PATH: '/bin',
    HOME: '/home/zoe',
    LD_LIBRARY_PATH: '/cuda:/lib',
    LD_PRELOAD: '/jemalloc.so',
    CUDA_VISIBLE_DEVICES: '1',
    OMP_NUM_THREADS: '2',
    LC_ALL: 'C',
    ORT_DISABLE_TELEMETRY: '1',
  });
  assert.equal(childEnvironment({}, { libraryFolder: '/cuda' })['LD_LIBRARY_PATH'], '/cuda');
});

test('a word in HF_HUB_OFFLINE that is neither yes nor no means no, as in huggingface_hub, and is warned of', async () => {
  const odd = { ...HOME, HF_HUB_OFFLINE: 'ture\n\u202e' };
  assert.equal((await hubEnvironment(odd)).offline, false);
  const [warning] = startupWarnings('generate', odd);
  assert.deepEqual(warning?.fields, { variable: 'HF_HUB_OFFLINE', value: 'ture\\u000a\\u202e' });
  for (const word of ['1', 'Yes', 'ON', 'true', '0', 'off', 'No', 'FALSE', ''])
    assert.deepEqual(startupWarnings('generate', { ...HOME, HF_HUB_OFFLINE: word }), [], word);
  assert.deepEqual(startupWarnings('enqueue', odd), [], 'a command that asks no hub');
});
