/** A worker with two real checkpoints: each document is generated with its own, and swapping changes no byte. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
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

async function settingsOf(models: string) {
  const flags = { models, dataDir: join(folder, 'data'), compileCache: 'off' };
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
