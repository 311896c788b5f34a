/** A worker with two real checkpoints: each document is generated with its own, and swapping changes no byte. */
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openQueue } from '../../src/app/open-queue.ts';
import { runUntilStopped } from '../../src/app/run-worker.ts';
import { engineOptions, modelSettings, queueSettings, storeSettings, webhookSettings } from '../../src/app/settings.ts';
import { loadConfig } from '../../src/config/load.ts';
import { resolveMode } from '../../src/config/mode.ts';
import { DEFAULT_LIMITS } from '../../src/job/limits.ts';
import { type LogFields, silentLogger } from '../../src/observability/logger.ts';
import type { WorkerEvent } from '../../src/worker/worker-contract.ts';

const folder = mkdtempSync(join(tmpdir(), 'text2img-models-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const environment = { HOME: folder };
const DEMO = fileURLToPath(new URL('../../models/demo', import.meta.url));
const BASE = fileURLToPath(new URL('../golden/base', import.meta.url));
const ENDS = { timeout: 110_000 };

async function settingsOf(models: string, more: Readonly<Record<string, string>> = {}, data = 'data') {
  const flags = { models, dataDir: join(folder, data), compileCache: 'off', ...more };
  const { config, mode } = await loadConfig({ command: 'run', flags, environment });
  assert.ok(mode !== undefined);
  return {
    queue: queueSettings(config, mode),
    store: storeSettings(config, { mode: resolveMode(config, environment), environment }),
    webhooks: webhookSettings(config, environment),
    model: modelSettings(config, { defaultModel: undefined, environment }),
    engine: engineOptions(config, environment),
    worker: {
      limits: DEFAULT_LIMITS,
      defaults: { numInferenceSteps: 2, widthPx: 64, heightPx: 64 },
      until: 'drained',
      batchSize: 1,
      graceMs: 1000,
    } as const,
    healthFile: undefined,
  };
}

test(
  'two checkpoints take turns in one engine, and the first gives the same bytes before and after',
  ENDS,
  async () => {
    const settings = await settingsOf(`${DEMO},tiny=${BASE}`);
    const document = { text: 'a blue star', seed: 1, guidance_scale: 4 };
    {
      await using queue = await openQueue(settings.queue, { logger: silentLogger });
      const add = async (id: string, priority: number, model?: string): Promise<void> => {
        const labels = model === undefined ? {} : { model };
        await queue.enqueue([{ _id: id, priority, ...document }], { labels });
      };
      await add('demo', 9);
      await add('other', 8, 'tiny');
      await add('gone', 7, 'nobody-has-it');
    }
    const loaded: unknown[] = [];
    const events: WorkerEvent[] = [];
    const logger = {
      ...silentLogger,
      info: (message: string, fields: LogFields = {}) => {
        if (message === 'model ready') loaded.push(fields['model']);
      },
    };
    const run = async () =>
      await runUntilStopped(settings, {
        logger,
        signal: new AbortController().signal,
        onEvent: (event) => events.push(event),
      });
    const outcome = await run();
    assert.equal(outcome?.failure, undefined);
    assert.deepEqual(loaded, ['demo', 'tiny']);
    const completed = events.flatMap((event) => (event.type === 'completed' ? [[event.id, event.model]] : []));
    assert.deepEqual(completed, [
      ['demo', 'demo'],
      ['other', 'tiny'],
    ]);
    const png = (id: string): Buffer => readFileSync(join(folder, 'data', 'generated', `${id}.png`));
    assert.ok(png('other').includes('Model: tiny'), 'the image says the name that documents ask for');
    const first = png('demo');
    assert.ok(!first.equals(png('other')));
    {
      await using queue = await openQueue(settings.queue, { logger: silentLogger });
      await queue.enqueue([{ _id: 'again', priority: 1, ...document }], { labels: { model: 'demo' } });
      await queue.enqueue([{ _id: 'before', priority: 2, ...document }], { labels: { model: 'tiny' } });
      assert.equal((await queue.show('gone'))?.status, 'pending');
    }
    await run();
    assert.ok(png('again').equals(first));
    assert.ok(png('before').equals(png('other')));
  },
);

test('an empty queue, or one with jobs for other models only, is drained without a model', ENDS, async () => {
  const settings = await settingsOf(`${DEMO},owner/not-in-the-cache`);
  const said: unknown[] = [];
  const logger = { ...silentLogger, warning: (message: string) => void said.push(message) };
  const outcome = await runUntilStopped(settings, {
    logger,
    signal: new AbortController().signal,
    onEvent: () => undefined,
  });
  assert.deepEqual([outcome?.wasEmpty, outcome?.others], [true, 1]);
  assert.deepEqual(said, ['the queue has jobs for other models only']);
});

const GOLDEN = fileURLToPath(new URL('../golden', import.meta.url));

type Settings = Awaited<ReturnType<typeof settingsOf>>;

async function add(settings: Settings, ids: readonly string[], model: string): Promise<void> {
  await using queue = await openQueue(settings.queue, { logger: silentLogger });
  const documents = ids.map((_id) => ({ _id, text: 'a blue star', seed: 1, guidance_scale: 4 }));
  await queue.enqueue(documents, { labels: { model } });
}

test(
  'two engines that share the CPU generate with two models, each document with its own, and equal ones with equal bytes',
  ENDS,
  async () => {
    const settings = await settingsOf(`${DEMO},tiny=${BASE}`, { engines: '2', device: 'cpu' }, 'engines');
    await add(settings, ['d1', 'd2', 'd3'], 'demo');
    await add(settings, ['t1', 't2', 't3'], 'tiny');
    const events: WorkerEvent[] = [];
    const loaded: unknown[] = [];
    const logger = {
      ...silentLogger,
      info: (message: string, fields: LogFields = {}) => {
        if (message === 'model ready') loaded.push(fields['model']);
      },
    };
    const outcome = await runUntilStopped(settings, {
      logger,
      signal: new AbortController().signal,
      onEvent: (event) => events.push(event),
    });
    assert.equal(outcome?.failure, undefined);
    assert.deepEqual(loaded.slice(0, 2), ['demo', 'demo'], 'each engine begins with the default');
    assert.ok(loaded.includes('tiny'));
    const completed = events.flatMap((event) => (event.type === 'completed' ? [`${event.id} ${event.model}`] : []));
    assert.deepEqual(completed.toSorted(), ['d1 demo', 'd2 demo', 'd3 demo', 't1 tiny', 't2 tiny', 't3 tiny']);
    const png = (id: string): Buffer => readFileSync(join(folder, 'engines', 'generated', `${id}.png`));
    for (const kind of ['d', 't'])
      for (const other of [2, 3]) assert.ok(png(`${kind}${other}`).equals(png(`${kind}1`)), `${kind}${other}`);
  },
);

test('each model has its own autoencoder and prediction type, and the image says the autoencoder', ENDS, async () => {
  const vae = join(GOLDEN, 'vae-tiny', 'checkpoint', 'vae');
  const models = `plain=${BASE},other=${BASE},v=${BASE}`;
  const settings = await settingsOf(models, { vae: `other=${vae}`, predictionType: 'v=v_prediction' }, 'vaes');
  for (const model of ['plain', 'other', 'v']) await add(settings, [model], model);
  const outcome = await runUntilStopped(settings, {
    logger: silentLogger,
    signal: new AbortController().signal,
    onEvent: () => undefined,
  });
  assert.equal(outcome?.failure, undefined);
  const png = (id: string): Buffer => readFileSync(join(folder, 'vaes', 'generated', `${id}.png`));
  assert.ok(png('other').includes('VAE: '));
  for (const id of ['plain', 'v']) assert.ok(!png(id).includes('VAE: '), id);
  const sizes = new Set(['plain', 'other', 'v'].map((id) => png(id).toString('latin1').split('IDAT')[1]));
  assert.equal(sizes.size, 3, 'three different images');
});

test(
  'a branch that a later model does not have leaves this model out with a sentence, and the others go on',
  ENDS,
  async () => {
    const deep = join(folder, 'deep');
    cpSync(BASE, deep, { recursive: true });
    cpSync(join(GOLDEN, 'unet-four-blocks', 'checkpoint'), deep, { recursive: true });
    const settings = await settingsOf(`${deep},${DEMO}`, {}, 'branches');
    // The demo checkpoint has three blocks, so its largest branch is 8; four blocks have 11.
    const defaults = { ...settings.worker.defaults, deepCache: 2, deepCacheBranch: 11 };
    await add(settings, ['first'], 'demo');
    await add(settings, ['second'], 'deep');
    const ended = new AbortController();
    const said: string[] = [];
    const logger = {
      ...silentLogger,
      warning: (message: string, fields: LogFields = {}) => {
        if (fields['model'] === 'demo') said.push(`${message}: ${String((fields['error'] as Error).message)}`);
        endWhenBoth();
      },
    };
    const completed: string[] = [];
    // A drain would wait for the other model's job for minutes.
    const endWhenBoth = (): void => {
      if (said.length > 0 && completed.length > 0) ended.abort();
    };
    const outcome = await runUntilStopped(
      { ...settings, worker: { ...settings.worker, defaults } },
      {
        logger,
        signal: ended.signal,
        onEvent: (event) => {
          if (event.type !== 'completed') return;
          completed.push(event.id);
          endWhenBoth();
        },
      },
    );
    assert.equal(outcome?.failure, undefined);
    assert.deepEqual(completed, ['second']);
    assert.equal(said.length, 1);
    assert.match(
      said[0] ?? '',
      /^a model cannot be loaded; its jobs wait, .*--deep-cache-branch .* 11 is not allowed with the model "demo"; it must be a whole number from 0 to 8\.$/,
    );
    await using queue = await openQueue(settings.queue, { logger: silentLogger });
    assert.deepEqual([(await queue.show('first'))?.status, (await queue.show('first'))?.attempts], ['pending', 0]);
  },
);

test('where no model has the branch the start ends with the first one’s sentence', ENDS, async () => {
  const settings = await settingsOf(`${DEMO},tiny=${BASE}`, {}, 'no-branch');
  await add(settings, ['one'], 'demo');
  const defaults = { ...settings.worker.defaults, deepCacheBranch: 99 };
  const outcome = await runUntilStopped(
    { ...settings, worker: { ...settings.worker, defaults } },
    { logger: silentLogger, signal: new AbortController().signal, onEvent: () => undefined },
  );
  assert.equal(outcome?.failure?.code, 'invalid_option');
  assert.match(outcome?.failure?.message ?? '', /99 is not allowed with the model "demo"/);
});
