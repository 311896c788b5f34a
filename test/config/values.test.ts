/** What is typed or exported becomes a value or is refused by name: white space, empty flags, control characters, names of places. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import type { LoadSources } from '../../src/config/load.ts';
import { loadWithSecrets } from './load-with-secrets.ts';
import { flagOf, OPTION_NAMES, OPTIONS, type OptionName, type OptionSpec } from '../../src/config/options.ts';

const BOTH = { MONGO_URI: 'mongodb://h/d', GCS_BUCKET: 'pictures' };

async function load(sources: Partial<LoadSources>) {
  return await loadWithSecrets({ command: 'run', flags: {}, environment: {}, ...sources });
}

test('white space at the ends of a variable goes, whatever kind it is of', async () => {
  const config = await load({
    environment: {
      MONGO_URI: 'mongodb://h/d\n',
      GCS_BUCKET: '\tpictures ',
      MODEL_ID: 'owner/name\r\n',
      CALLBACK_URL: ' https://hooks.example/x\n',
      LOG_LEVEL: 'debug\n',
      BATCH_SIZE: ' 3\n',
      TEXT2IMG_DATA_DIR: '/data \n',
      TEXT2IMG_GCS_PREFIX: 'drawn/ ',
      TEXT2IMG_WATCH: 'on\n',
      LOG_FILE: '  \n',
    },
  });
  const { mongoUri, gcsBucket, model, callbackUrl, logLevel, batchSize, dataDir, gcsPrefix, watch, logFile } = config;
  assert.deepEqual(
    { mongoUri, gcsBucket, model, callbackUrl, logLevel, batchSize, dataDir, gcsPrefix, watch, logFile },
    {
      mongoUri: 'mongodb://h/d',
      gcsBucket: 'pictures',
      model: 'owner/name',
      callbackUrl: 'https://hooks.example/x',
      logLevel: 'DEBUG',
      batchSize: 3,
      dataDir: '/data',
      gcsPrefix: 'drawn/',
      watch: true,
      logFile: undefined,
    },
  );
});

test('a prompt and a path are taken as typed', async () => {
  const { prompt, output } = await load({
    command: 'generate',
    flags: { prompt: ' two\n lines ', output: 'a\nb .png' },
  });
  assert.equal(prompt, ' two\n lines ');
  assert.equal(output, 'a\nb .png');
});

// From the table, so that a new option is in it.
const emptyable: readonly OptionName[] = [
  'negativePrompt',
  'prompt2',
  'negativePrompt2',
  'callbackAllowHosts',
  'corsOrigin',
  'allowedHosts',
  'gcsPrefix',
];
for (const name of OPTION_NAMES) {
  const spec: OptionSpec = OPTIONS[name];
  const command = spec.commands[0];
  if (spec.placeholder === undefined || command === undefined) continue;
  const isEmptyable = emptyable.includes(name);
  test(`${flagOf(name)}= is ${isEmptyable ? 'an empty value' : 'refused by name'}`, async () => {
    for (const value of ['', ' ']) {
      const loaded = load({ command, flags: { [name]: value } });
      if (isEmptyable) await loaded;
      else
        await assert.rejects(loaded, (error: Error) => {
          assert.match(
            error.message,
            new RegExp(`^${flagOf(name)} ("${value}"|\\(not shown\\)) is not allowed.*; it must be`),
          );
          return true;
        });
    }
  });
  if (spec.kind === 'text') continue;
  test(`${flagOf(name)} with a NUL is refused by name`, async () => {
    const good = spec.default ?? 'x';
    await assert.rejects(load({ command, flags: { [name]: `${good}\0x` } }), (error: Error) =>
      error.message.startsWith(`${flagOf(name)} `),
    );
  });
}

const refused: readonly (readonly [name: OptionName, value: string])[] = [
  ['gcsBucket', 'gs://pictures'],
  ['gcsBucket', 'pictures/'],
  ['gcsBucket', 'my%20pictures'],
  ['gcsBucket', 'Holiday'],
  ['gcsBucket', 'ab'],
  ['gcsBucket', 'a..b'],
  ['gcsBucket', '-pictures'],
  ['gcsBucket', 'pictures\nx'],
  ['gcsBucket', `${'x'.repeat(64)}.example`],
  ['gcsPrefix', '../outside/'],
  ['gcsPrefix', 'a/../../b/'],
  ['gcsPrefix', './x/'],
  ['gcsPrefix', 'a//b'],
  ['gcsPrefix', '/x'],
  ['gcsPrefix', 'a/..'],
  ['gcsPrefix', 'a\\..\\'],
  ['collection', 'a..b'],
  ['collection', '.a'],
  ['collection', 'a.'],
  ['collection', 'system.users'],
  ['collection', 'a$b'],
  ['collection', 'ü'.repeat(100)],
  ['collection', 'a\tb'],
  ['publicUrlBase', 'https://cdn.example/p?v=2'],
  ['publicUrlBase', 'https://cdn.example/p#x'],
  ['publicUrlBase', 'https://me:pw@cdn.example/p'],
  ['publicUrlBase', 'ftp://cdn.example'],
  ['callbackUrl', 'hooks.example/x'],
  ['leaseSeconds', '1'],
  ['leaseSeconds', '4.99'],
];
for (const [name, value] of refused) {
  test(`${flagOf(name)} ${JSON.stringify(value).slice(0, 40)} is refused by name`, async () => {
    await assert.rejects(load({ environment: BOTH, flags: { [name]: value } }), (error: Error & { code?: string }) => {
      assert.equal(error.code, 'invalid_option');
      assert.ok(error.message.startsWith(`${flagOf(name)} `), error.message);
      assert.ok(error.message.includes(OPTIONS[name].allowed), error.message);
      return true;
    });
  });
}

const taken: readonly (readonly [name: OptionName, value: string])[] = [
  ['gcsBucket', 'abc'],
  ['gcsBucket', 'my.bucket_of-2026'],
  ['gcsPrefix', 'a.b/c..d/x-'],
  ['gcsPrefix', ''],
  ['collection', 'my prompts.2026'],
  ['publicUrlBase', 'https://cdn.example:8443/p/'],
  ['callbackUrl', 'https://hooks.example/x?token=y'],
  ['leaseSeconds', '5'],
];
for (const [name, value] of taken) {
  test(`${flagOf(name)} ${JSON.stringify(value)} is taken`, async () => {
    const config = await load({ environment: BOTH, flags: { [name]: value } });
    assert.equal(`${config[name] as string | number}`, value);
  });
}

const uris: readonly (readonly [uri: string, reason: RegExp])[] = [
  ['"mongodb://u:hunter2@h/d"', /quotation mark/],
  ['MONGO_URI=mongodb://u:hunter2@h/d', /variable’s name/],
  ['u:hunter2@h/d', /does not begin with mongodb/],
  ['mysql://u:hunter2@h/d', /does not begin with mongodb/],
  ['mongodb://u:hunter2@h', /names no database/],
  ['mongodb://u:hunter2@h/?replicaSet=x', /names no database/],
  ['mongodb:///d', /names no host/],
  ['mongodb://u:hunter2@h/a.b', /white space or one of/],
  ['mongodb://u:hunter2@h/a%24b', /white space or one of/],
  ['mongodb://u:hunter2@h/a%00b', /white space or one of/],
  ['mongodb://u:hun/ter2@h/d', /white space or one of/],
  ['mongodb://u:hunter2@h/d\nx', /white space or a control character/],
  ['mongodb://u:hunter2@h/a%b', /without two hexadecimal digits/],
  [`mongodb://u:hunter2@h/${'é'.repeat(32)}`, /more than 63 bytes/],
];
for (const [uri, reason] of uris) {
  test(`MONGO_URI ${JSON.stringify(uri).slice(0, 50)} is refused under the name it came by, without a word of it`, async () => {
    for (const [source, sources] of [
      ['MONGO_URI', { environment: { MONGO_URI: uri, GCS_BUCKET: 'pictures' } }],
      ['--mongo-uri', { flags: { mongoUri: uri, gcsBucket: 'pictures' } }],
    ] as const) {
      await assert.rejects(load(sources), (error: Error & { code?: string }) => {
        assert.equal(error.code, 'invalid_option');
        assert.match(error.message, reason);
        assert.ok(error.message.startsWith(`${source} (not shown) `), error.message);
        assert.doesNotMatch(error.message, /hun/);
        return true;
      });
    }
  });
}

for (const uri of [
  'mongodb://h1:27017,h2:27018/my-database?replicaSet=rs0',
  'mongodb+srv://u:p%40ss@cluster.example/app',
  'mongodb://%2Ftmp%2Fmongodb-27017.sock/app',
  'mongodb://u:a#b@h/app',
]) {
  test(`MONGO_URI ${uri} is taken`, async () => {
    assert.equal((await load({ environment: { MONGO_URI: uri, GCS_BUCKET: 'pictures' } })).mongoUri, uri);
  });
}

test('of a bad URL an error shows scheme and host, of one without a host nothing', async () => {
  const says = async (flags: LoadSources['flags']): Promise<string> =>
    await load({ flags }).then(
      () => 'taken',
      (error: Error) => error.message,
    );
  assert.match(
    await says({ callbackUrl: 'htp://u:hunter2@hooks.example/hunter2?t=hunter2' }),
    /^--callback-url "htp:\/\/hooks\.example" \(the rest is not shown\) /,
  );
  assert.match(
    await says({ publicUrlBase: 'https://cdn.example?sig=hunter2' }),
    /^--public-url-base "https:\/\/cdn\.example" \(the rest is not shown\) /,
  );
  assert.match(
    await says({ callbackUrl: 'ws://hooks.example:8080/' }),
    /^--callback-url "ws:\/\/hooks\.example:8080" is/,
  );
  for (const value of ['cdn.example/?sig=hunter2', 'hunter2', 'user:hunter2@h', 'https://hunter2 @/', '//u:hunter2@h'])
    assert.match(await says({ callbackUrl: value }), /^--callback-url \(not shown\) /);
});

test('a secret that signs nothing, links for a folder and two forms of URL are refused before anything is opened', async () => {
  const secret = `whsec_${randomBytes(24).toString('base64')}`;
  await assert.rejects(load({ flags: { webhookSecret: secret } }), {
    code: 'conflicting_options',
    message: /callback-url/,
  });
  await assert.rejects(load({ flags: { signedUrls: true } }), { code: 'conflicting_options', message: /--mongo-uri/ });
  await assert.rejects(load({ environment: BOTH, flags: { signedUrls: true, publicUrlBase: 'https://c.example' } }), {
    code: 'conflicting_options',
  });
  for (const bad of ['whsec_x', ',', `${secret},whsec_!`])
    await assert.rejects(load({ flags: { webhookSecret: bad, callbackUrl: 'https://h.example' } }), {
      code: 'invalid_option',
      message: /^--webhook-secret \(not shown\) /,
    });
  const both = await load({ flags: { webhookSecret: `${secret} ${secret}`, callbackUrl: 'https://h.example' } });
  assert.equal(both.callbackUrl, 'https://h.example');
});

test('~ at the start of a path is the home folder, in variables and flags', async () => {
  const environment = { HOME: '/home/zoe', TEXT2IMG_DATA_DIR: '~/queue', LOG_FILE: '~', MODEL_ID: '~/models/sd' };
  const config = await load({ environment, flags: { heartbeatFile: '~/beat' } });
  assert.deepEqual(
    [config.dataDir, config.logFile, config.model, config.heartbeatFile],
    ['/home/zoe/queue', '/home/zoe', '/home/zoe/models/sd', '/home/zoe/beat'],
  );
  const other = await load({ environment: { HOME: '/home/zoe', TEXT2IMG_DATA_DIR: '~other/x' } });
  assert.equal(other.dataDir, '~other/x');
});

test('the words of other tools are refused with ours, and ours are taken', async () => {
  let count = 0;
  for (const name of OPTION_NAMES) {
    const { type, commands }: OptionSpec = OPTIONS[name];
    for (const [word, meant] of Object.entries(type.otherWords ?? {})) {
      count++;
      const [command = 'run'] = commands;
      const flags = { [name]: word.toUpperCase() };
      await assert.rejects(load({ command, flags }), {
        code: 'invalid_option',
        message: new RegExp(
          `^${flagOf(name)} "${word.toUpperCase()}" is not allowed\\. Did you mean "${meant}"\\? It must be .*`,
        ),
      });
      assert.equal(type.parseText(word), undefined, word);
      assert.notEqual(type.parseText(meant), undefined, meant);
    }
  }
  assert.ok(count > 10);
});
