/**
 * Every reader of what comes from outside, fed with random JSON, random text and random bytes: it reads, or it refuses with a code that says whose
 * fault it is. Nothing surfaces as a bug, no foreign name reaches a prototype, and four times the input takes at most eight times
 * the processor time.
 * Documents are fed to both queues in `test/queue`, the hub's answers in `test/checkpoint/hub`.
 */
import assert from 'node:assert/strict';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { openKnown } from './checkpoint/open-known.ts';
import { settle } from '../src/config/load.ts';
import { environmentNameOf, OPTION_NAMES, OPTIONS, optionsOf, type OptionSpec } from '../src/config/options.ts';
import { readSecretFile } from '../src/config/secret-file.ts';
import { ClipTokenizer } from '../src/pipelines/parts/clip-tokenizer.ts';
import { parseGenerationParameters } from '../src/image/parameters-text.ts';
import { readGenerationParameters } from '../src/image/read-parameters.ts';
import { proveFit } from '../src/pipelines/prove-fit.ts';
import type { ErrorFault } from '../src/errors/error-codes.ts';
import { checkEntry } from '../src/runtime/cache-entries.ts';
import { growthOfAsync } from './lib/growth.ts';
import { anyValue, hostileName, hostileNumber, readOrRefuse } from './lib/foreign-input.ts';

const place = await mkdtemp(join(tmpdir(), 'text2img-foreign-'));
after(() => rm(place, { recursive: true, force: true }));

// A model ---------------------------------------------------------------------------------------------------------------

const model = join(place, 'model');
await cp(fileURLToPath(new URL('../models/demo', import.meta.url)), model, { recursive: true });
const modelFiles = (await readdir(model, { recursive: true, withFileTypes: true }))
  .filter((entry) => entry.isFile())
  .map((entry) => join(entry.parentPath, entry.name));
const jsonFiles = modelFiles.filter((path) => path.endsWith('.json'));

async function openModel(): Promise<void> {
  const checkpoint = await openKnown(model);
  proveFit(checkpoint);
  new ClipTokenizer(checkpoint.tokenizers.tokenizer).tokenize('a red circle');
}

/** Runs `action` with other contents of one file. */
async function withFile(path: string, content: string | Uint8Array, action: () => Promise<void>): Promise<void> {
  const original = await readFile(path);
  await writeFile(path, content);
  try {
    await action();
  } finally {
    await writeFile(path, original);
  }
}

test('any value under any key of any configuration of a model is read, or refused as the model’s fault', async () => {
  const objects = new Map<string, Record<string, unknown>>();
  for (const path of jsonFiles) objects.set(path, JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>);
  const change = fc.constantFrom(...objects.entries()).chain(([path, object]) =>
    fc.record({
      path: fc.constant(path),
      changes: fc.dictionary(fc.oneof(fc.constantFrom(...Object.keys(object)), hostileName), anyValue, {
        minKeys: 1,
        maxKeys: 2,
      }),
    }),
  );
  await fc.assert(
    fc.asyncProperty(change, async ({ path, changes }) => {
      const text = JSON.stringify(Object.assign(Object.create(null), objects.get(path), changes));
      await withFile(path, text, () => readOrRefuse(openModel, ['model']));
    }),
    { numRuns: 400 },
  );
});

test('any JSON, text or bytes in place of any file of a model is read, or refused as the model’s fault', async () => {
  const content = fc.oneof(
    fc.jsonValue().map((json) => JSON.stringify(json)),
    fc.string({ unit: 'binary', maxLength: 300 }),
    fc.uint8Array({ maxLength: 300 }),
  );
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...modelFiles), content, async (path, bytes) => {
      await withFile(path, bytes, () => readOrRefuse(openModel, ['model']));
    }),
    { numRuns: 400 },
  );
});

// Options, secrets, PNGs, cached files ----------------------------------------------------------------------------------

test('any text in any variable is read, or refused as the caller’s fault', async () => {
  const variables = OPTION_NAMES.map((name) => environmentNameOf(name));
  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 200 }),
    fc.string(),
    hostileName,
    hostileNumber.map(String),
  );
  const commands = ['run', 'generate', 'enqueue', 'jobs', 'doctor'] as const;
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...commands),
      fc.dictionary(fc.oneof(fc.constantFrom(...variables), hostileName), text, { maxKeys: 3 }),
      async (command, environment) => {
        await readOrRefuse(() => settle({ command, flags: {}, environment, secrets: new Map() }), ['usage', 'request']);
      },
    ),
    { numRuns: 1000 },
  );
});

test('any bytes in a secret’s file are read, or refused without being quoted', async () => {
  const file = join(place, 'secret');
  await fc.assert(
    fc.asyncProperty(fc.oneof(fc.uint8Array({ maxLength: 100 }), fc.string({ unit: 'binary' })), async (content) => {
      await writeFile(file, content);
      await readOrRefuse(() => readSecretFile('MONGO_URI_FILE', file), ['usage']);
    }),
    { numRuns: 300 },
  );
});

test('any bytes as a PNG, and any text as its parameters, are read, or refused as the caller’s fault', async () => {
  const line = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc
      .tuple(fc.constantFrom('Steps', 'Seed', 'Size', 'Sampler', 'CFG scale', 'Schedule type', '__proto__'), anyValue)
      .map(([key, v]) => `${key}: ${String(JSON.stringify(v))}`),
  );
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), fc.array(line, { maxLength: 5 }), async (bytes, lines) => {
      const signature = [137, 80, 78, 71, 13, 10, 26, 10];
      await readOrRefuse(() => readGenerationParameters(bytes), ['usage']);
      await readOrRefuse(() => readGenerationParameters(Uint8Array.from([...signature, ...bytes])), ['usage']);
      await readOrRefuse(() => parseGenerationParameters(lines.join(', ')), ['usage', 'request']);
      await readOrRefuse(() => parseGenerationParameters(lines.join('\n')), ['usage', 'request']);
    }),
    { numRuns: 500 },
  );
});

test('whatever lies in an entry of the compile cache, it is ours or it is not', async () => {
  const entry = join(place, 'entry');
  await mkdir(entry, { recursive: true });
  const marker = fc.oneof(
    fc.jsonValue().map((json) => JSON.stringify(json)),
    fc
      .dictionary(fc.oneof(hostileName, fc.constant('../../etc/passwd'), fc.string()), anyValue)
      .map((files) => JSON.stringify({ made_by: 'text2img compile cache', files })),
    fc.string({ unit: 'binary' }),
  );
  await fc.assert(
    fc.asyncProperty(marker, async (text) => {
      await writeFile(join(entry, 'text2img-cache-entry.json'), text);
      assert.ok(['unknown', 'damaged'].includes(await checkEntry(entry, 'changed')));
    }),
    { numRuns: 300 },
  );
});

// Time ------------------------------------------------------------------------------------------------------------------

interface Growth {
  readonly what: string;
  readonly size: number;
  readonly read: (size: number) => Promise<void>;
}

const configuration =
  (path: string, of: (size: number) => object) =>
  async (size: number): Promise<void> => {
    const original = JSON.parse(await readFile(path, 'utf8')) as object;
    await withFile(path, JSON.stringify({ ...original, ...of(size) }), () => readOrRefuse(openModel, ['model']));
  };
const unetConfig = join(model, 'unet/config.json');
const quietly = (read: () => unknown, faults: readonly ErrorFault[]): Promise<void> => readOrRefuse(read, faults);
const secretOptions = optionsOf('run').filter((name) => (OPTIONS[name] as OptionSpec).secret === undefined);

const GROWTHS: readonly Growth[] = [
  {
    what: 'the letters of a configuration’s key',
    size: 2 ** 21,
    read: configuration(unetConfig, (n) => ({ ['k'.repeat(n)]: 1 })),
  },
  {
    what: 'the letters of a configuration’s value',
    size: 2 ** 21,
    read: configuration(unetConfig, (n) => ({ act_fn: 'x'.repeat(n) })),
  },
  {
    what: 'the keys of a configuration',
    size: 2 ** 15,
    read: configuration(unetConfig, (n) => Object.fromEntries(Array.from({ length: n }, (_, i) => [`k${i}`, i]))),
  },
  {
    what: 'the added tokens of a tokenizer',
    size: 2 ** 12,
    read: configuration(join(model, 'tokenizer/added_tokens.json'), (n) =>
      Object.fromEntries(Array.from({ length: n }, (_, i) => [`<t${i}>`, 762 + i])),
    ),
  },
  {
    what: 'the spaces of a PNG’s last line',
    size: 2 ** 19,
    read: (n) => quietly(() => parseGenerationParameters(`a\nSteps: 20,${' '.repeat(n)}x`), ['usage', 'request']),
  },
  {
    what: 'the letters of a PNG’s last line',
    size: 2 ** 20,
    read: (n) => quietly(() => parseGenerationParameters(`a\n${'Steps'.repeat(n / 5)}`), ['usage', 'request']),
  },
  {
    what: 'the fields of a PNG’s last line',
    size: 2 ** 16,
    read: (n) =>
      quietly(() => parseGenerationParameters(`a\nSteps: 20, ${'A: 1, '.repeat(n)}B: 2`), ['usage', 'request']),
  },
  {
    what: 'the letters of a variable',
    size: 2 ** 20,
    read: async (n) => {
      for (const name of secretOptions)
        await quietly(
          () =>
            settle({
              command: 'run',
              flags: {},
              environment: { [environmentNameOf(name)]: 'a'.repeat(n / 16) },
              secrets: new Map(),
            }),
          ['usage', 'request'],
        );
    },
  },
  {
    what: 'the colons and at signs of a variable',
    size: 2 ** 18,
    read: (n) =>
      quietly(
        () =>
          settle({ command: 'run', flags: {}, environment: { CALLBACK_URL: 'a://@'.repeat(n) }, secrets: new Map() }),
        ['usage'],
      ),
  },
];

await writeFile(join(model, 'tokenizer/added_tokens.json'), '{}');

for (const { what, size, read } of GROWTHS) {
  test(`four times as much takes at most eight times the processor time: ${what}`, async () => {
    await read(size);
    // A busy machine only makes a look longer. What grows with the square takes sixteen times as long in each of them.
    let growth = Infinity;
    for (let look = 0; look < 3 && growth > 8; look++)
      growth = Math.min(growth, await growthOfAsync({ use: read, size, factor: 4 }));
    assert.ok(growth <= 8, `${growth.toFixed(1)} times the time for four times as much`);
  });
}
