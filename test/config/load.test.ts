/** Flags and environment: who wins, what is refused and how, and that the table of options is consistent. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { googleSettings } from '../../src/config/google.ts';
import { loadConfig, type LoadSources } from '../../src/config/load.ts';
import { nameInUse } from '../../src/config/parse.ts';
import { loadWithSecrets } from './load-with-secrets.ts';
import { resolveMode, resolveQueueMode } from '../../src/config/mode.ts';
import { compileCacheFolder } from '../../src/config/user-folders.ts';
import { environmentNameOf, flagOf, OPTION_NAMES, OPTIONS, type OptionSpec } from '../../src/config/options.ts';

async function load(sources: Partial<LoadSources>) {
  return await loadWithSecrets({ command: 'run', flags: {}, environment: {}, ...sources });
}

test('a flag beats the environment, which beats the default', async () => {
  assert.equal((await load({})).leaseSeconds, 60);
  assert.equal((await load({ environment: { TEXT2IMG_LEASE_SECONDS: '7.5' } })).leaseSeconds, 7.5);
  assert.equal(
    (await load({ environment: { TEXT2IMG_LEASE_SECONDS: '7.5' }, flags: { leaseSeconds: '9' } })).leaseSeconds,
    9,
  );
});

test('an empty variable is unset', async () => {
  assert.equal((await load({ environment: { BATCH_SIZE: '', LOG_FILE: '' } })).batchSize, 10);
  assert.equal((await load({ environment: { LOG_FILE: '' } })).logFile, undefined);
});

test('a bad value in the environment does not matter when a flag is given, nor for a command that does not take it', async () => {
  assert.equal((await load({ environment: { BATCH_SIZE: 'x' }, flags: { batchSize: '2' } })).batchSize, 2);
  assert.equal((await load({ command: 'generate', environment: { BATCH_SIZE: 'x' } })).batchSize, 10);
});

test('the names of the contract are kept, every other variable begins with TEXT2IMG_', async () => {
  const contract = OPTION_NAMES.map((name) => environmentNameOf(name)).filter((name) => !name.startsWith('TEXT2IMG_'));
  assert.deepEqual(contract.toSorted(), [
    'BATCH_SIZE',
    'CALLBACK_URL',
    'GCS_BUCKET',
    'LOG_FILE',
    'LOG_LEVEL',
    'MODEL_ID',
    'MONGO_URI',
    'NUM_INFERENCE_STEPS',
  ]);
  assert.equal(environmentNameOf('dataDir'), 'TEXT2IMG_DATA_DIR');
  assert.equal(flagOf('numInferenceSteps'), '--num-inference-steps');
});

test('the configuration is frozen', async () => {
  assert.ok(Object.isFrozen(await load({})));
});

for (const name of OPTION_NAMES) {
  const spec: OptionSpec = OPTIONS[name];
  test(`${flagOf(name)} has one line of documentation, ${spec.default === undefined ? 'no default' : 'a default that it accepts'} and says what is allowed`, async () => {
    assert.match(spec.doc, /^\P{Ll}.*\.$|^(?:ddim|DEBUG).*\.$/u);
    assert.doesNotMatch(spec.doc, /\n/);
    assert.ok(spec.commands.length > 0 && spec.allowed.length > 0);
    if (spec.default !== undefined) assert.notEqual(spec.type.parseText(spec.default), undefined);
  });
}

const refused: readonly (readonly [keyof typeof OPTIONS, string])[] = [
  ['width', '100'],
  ['width', '0'],
  ['height', '-8'],
  ['height', '64.5'],
  ['numInferenceSteps', '0'],
  ['numInferenceSteps', '1e3'],
  ['guidanceScale', 'NaN'],
  ['guidanceScale', 'Infinity'],
  ['guidanceScale', '-1'],
  ['guidanceScale', ''],
  ['seed', '-2'],
  ['seed', '1.5'],
  ['seed', '9007199254740992'],
  ['seed', '0x10'],
  ['numImages', '0'],
];
for (const [name, value] of refused) {
  test(`${flagOf(name)} ${JSON.stringify(value)} is refused, quoted, with what is allowed`, async () => {
    const allowed = OPTIONS[name].allowed;
    await assert.rejects(async () => await load({ command: 'generate', flags: { [name]: value } }), {
      code: 'invalid_parameter',
      message: `${flagOf(name)} ${JSON.stringify(value)} is not allowed; it must be ${allowed}.`,
    });
  });
}

test('a bad generation option of the worker is a matter of configuration and names the variable', async () => {
  await assert.rejects(async () => await load({ environment: { NUM_INFERENCE_STEPS: 'many' } }), {
    code: 'invalid_option',
    message: /^NUM_INFERENCE_STEPS "many" /,
  });
  await assert.rejects(async () => await load({ flags: { device: 'tpu' } }), {
    code: 'invalid_option',
    message:
      '--device "tpu" is not allowed; it must be auto, cpu, cuda, cuda:N or webgpu, or several different GPUs as cuda:0,cuda:1.',
  });
});

test('schedulers have class names and short names, and become the name that requests carry', async () => {
  const named = async (scheduler: string) => (await load({ command: 'generate', flags: { scheduler } })).scheduler;
  assert.deepEqual(await Promise.all(['ddim', 'DDIMScheduler', 'euler_a', 'dpmpp_2m_karras'].map(named)), [
    'DDIMScheduler',
    'DDIMScheduler',
    'EulerAncestralDiscreteScheduler',
    'dpmpp_2m_karras',
  ]);
  await assert.rejects(async () => named('dpm++'), {
    code: 'unknown_scheduler',
    message: /^--scheduler "dpm\+\+" is not allowed.* it must be one of .*ddim/i,
  });
  await assert.rejects(async () => await load({ flags: { scheduler: 'dpm++' } }), { code: 'invalid_option' });
});

test('a huge bad value is quoted in part', async () => {
  await assert.rejects(
    async () => await load({ flags: { device: 'x'.repeat(1_000_000) } }),
    (error: Error) => error.message.length < 300,
  );
});

test('0 and 1 are legal guidance scales, 0 a legal seed', async () => {
  assert.deepEqual(
    [
      (await load({ flags: { guidanceScale: '0' } })).guidanceScale,
      (await load({ flags: { guidanceScale: '1' } })).guidanceScale,
    ],
    [0, 1],
  );
  assert.equal((await load({ command: 'generate', flags: { seed: '0' } })).seed, 0);
});

test('log levels have any case, and the names that other loggers give them', async () => {
  for (const [level, names] of [
    ['DEBUG', ['debug', 'trace', 'verbose', 'TRACE', 'notset']],
    ['INFO', ['info', 'Information', 'notice']],
    ['WARNING', ['warning', 'warn', 'WARN', 'Warning']],
    ['ERROR', ['error', 'err', 'SEVERE']],
    ['CRITICAL', ['critical', 'crit', 'fatal', 'alert', 'emerg', 'panic']],
  ] as const)
    for (const name of names) assert.equal((await load({ environment: { LOG_LEVEL: name } })).logLevel, level, name);
  for (const name of ['loud', 'constructor', '30', 'warn,error'])
    await assert.rejects(load({ environment: { LOG_LEVEL: name } }), {
      code: 'invalid_option',
      message: `LOG_LEVEL ${JSON.stringify(name)} is not allowed; it must be DEBUG, INFO, WARNING, ERROR or CRITICAL.`,
    });
});

test('the log’s format is text or JSON, in any case', async () => {
  assert.equal((await load({})).logFormat, 'text');
  assert.equal((await load({ environment: { TEXT2IMG_LOG_FORMAT: 'JSON' } })).logFormat, 'json');
  assert.equal(
    (await load({ environment: { TEXT2IMG_LOG_FORMAT: 'json' }, flags: { logFormat: 'text' } })).logFormat,
    'text',
  );
  await assert.rejects(
    load({ flags: { logFormat: 'yaml' } }),
    /--log-format "yaml" is not allowed; it must be text or json/,
  );
});

test('switches are true and false as flags, words in the environment', async () => {
  assert.equal((await load({ flags: { watch: true } })).watch, true);
  assert.equal((await load({ environment: { TEXT2IMG_WATCH: 'Yes' } })).watch, true);
  assert.equal((await load({ environment: { TEXT2IMG_WATCH: 'yes' }, flags: { watch: false } })).watch, false);
  await assert.rejects(async () => await load({ environment: { TEXT2IMG_WATCH: 'perhaps' } }), {
    code: 'invalid_option',
  });
});

test('without a database and a bucket the mode is embedded, with one of them it is a conflict, with both it is production', async () => {
  assert.deepEqual(resolveMode(await load({ flags: { dataDir: '/d' } }), {}), { kind: 'embedded', dataDir: '/d' });
  await assert.rejects(
    async () => resolveMode(await load({ command: 'run', environment: { MONGO_URI: 'mongodb://h/d' } }), {}),
    {
      code: 'conflicting_options',
      message: /needs --gcs-bucket/,
    },
  );
  await assert.rejects(async () => resolveMode(await load({ flags: { gcsBucket: 'pictures' } }), {}), {
    code: 'conflicting_options',
    message: /needs --mongo-uri/,
  });
  assert.deepEqual(resolveMode(await load({ flags: { gcsBucket: 'pictures', mongoUri: 'mongodb://h/d' } }), {}), {
    kind: 'production',
    mongoUri: 'mongodb://h/d',
    gcsBucket: 'pictures',
  });
});

test('a command that stores no images needs the database only, but a bucket alone is a conflict for it too', async () => {
  for (const command of ['jobs', 'webhooks', 'enqueue'] as const) {
    const { mode } = await loadConfig({ command, flags: { mongoUri: 'mongodb://h/d' }, environment: {} });
    assert.deepEqual(mode, { kind: 'production', mongoUri: 'mongodb://h/d' });
    await assert.rejects(loadConfig({ command, flags: { gcsBucket: 'pictures' }, environment: {} }), {
      code: 'conflicting_options',
      message: /needs --mongo-uri/,
    });
  }
  assert.deepEqual(resolveQueueMode(await load({ flags: { dataDir: '/d' } }), {}), { kind: 'embedded', dataDir: '/d' });
  const adopting = { command: 'jobs', flags: { mongoUri: 'mongodb://h/d', adopt: true }, environment: {} } as const;
  await assert.rejects(loadConfig(adopting), { code: 'conflicting_options', message: /needs --gcs-bucket/ });
});

test('lists are read without regard to case and spaces, and what is not allowed in them is refused', async () => {
  const config = await load({
    flags: { callbackEvents: 'Completed, error', callbackAllowHosts: 'Hooks.internal,127.0.0.1:9000' },
  });
  assert.deepEqual([...config.callbackEvents], ['completed', 'error']);
  assert.deepEqual([...config.callbackAllowHosts], ['hooks.internal', '127.0.0.1:9000']);
  assert.deepEqual([...(await load({})).callbackAllowHosts], []);
  await assert.rejects(async () => await load({ flags: { callbackEvents: 'finished' } }), {
    code: 'invalid_option',
    message: /completed,error/,
  });
  await assert.rejects(async () => await load({ flags: { callbackAllowHosts: 'http://x/' } }), {
    code: 'invalid_option',
  });
});

test('an emulator is named as Google’s own clients take it, with or without a scheme', async () => {
  assert.equal(googleSettings({ STORAGE_EMULATOR_HOST: 'localhost:4443' }).apiEndpoint, 'http://localhost:4443');
  assert.equal(googleSettings({ STORAGE_EMULATOR_HOST: 'https://gcs:4443' }).apiEndpoint, 'https://gcs:4443');
  assert.deepEqual(googleSettings({ STORAGE_EMULATOR_HOST: '', GOOGLE_APPLICATION_CREDENTIALS: '/k.json' }), {
    apiEndpoint: undefined,
    credentialsFile: '/k.json',
    proxy: undefined,
    variables: { GOOGLE_APPLICATION_CREDENTIALS: '/k.json' },
  });
});

test('the compile cache lies in the user’s cache folder, elsewhere, or is off', async () => {
  assert.equal(compileCacheFolder(await load({}), { XDG_CACHE_HOME: '/c' }), '/c/text2img');
  assert.match(compileCacheFolder(await load({}), { XDG_CACHE_HOME: '' }) ?? '', /\.cache\/text2img$/);
  assert.equal(compileCacheFolder(await load({ flags: { compileCache: 'off' } }), {}), null);
  assert.equal(compileCacheFolder(await load({ flags: { compileCache: '/x' } }), {}), '/x');
});

test('an error that comes up later names the flag or the variable that was used', async () => {
  const by = async (sources: Partial<LoadSources>) =>
    nameInUse(await load({ command: 'jobs', ...sources }), 'mongoUri');
  assert.equal(await by({ environment: { MONGO_URI: 'mongodb://h/d', GCS_BUCKET: 'pictures' } }), 'MONGO_URI');
  assert.equal(
    await by({
      environment: { MONGO_URI: 'mongodb://h/d', GCS_BUCKET: 'pictures' },
      flags: { mongoUri: 'mongodb://h/e' },
    }),
    '--mongo-uri',
  );
  assert.equal(await by({}), '--mongo-uri');
});

test('the mode is resolved with the options; commands without a queue have none, so the image draws one prompt without --embedded', async () => {
  const environment = { TEXT2IMG_CONTAINER: '1' };
  const modeOf = async (command: 'run' | 'generate' | 'jobs' | 'doctor', flags = {}) =>
    (await loadConfig({ command, flags, environment })).mode;
  await assert.rejects(modeOf('run'), { code: 'conflicting_options' });
  await assert.rejects(modeOf('jobs'), { code: 'conflicting_options' });
  assert.deepEqual(await modeOf('run', { embedded: true, dataDir: '/d' }), { kind: 'embedded', dataDir: '/d' });
  assert.equal(await modeOf('generate'), undefined);
  assert.equal(await modeOf('doctor'), undefined);
});
