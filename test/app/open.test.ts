/** What is wired together is given plain settings, a logger and callbacks: no terminal, and no environment of the process. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { findModel } from '../../src/app/find-model.ts';
import { openQueue } from '../../src/app/open-queue.ts';
import { openStore } from '../../src/app/open-store.ts';
import { webhookDeliverer } from '../../src/app/open-webhooks.ts';
import { runUntilStopped } from '../../src/app/run-worker.ts';
import { engineOptions, modelSettings, queueSettings, storeSettings, webhookSettings } from '../../src/app/settings.ts';
import { loadConfig } from '../../src/config/load.ts';
import { resolveMode } from '../../src/config/mode.ts';
import type { Flags } from '../../src/config/parse.ts';
import { DEFAULT_LIMITS } from '../../src/job/limits.ts';
import { silentLogger } from '../../src/observability/logger.ts';
import type { WorkerEvent } from '../../src/worker/worker-contract.ts';

const logger = silentLogger;
const folder = mkdtempSync(join(tmpdir(), 'text2img-app-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const environment = { HOME: folder };

async function settingsOf(flags: Flags) {
  const { config, mode } = await loadConfig({ command: 'run', flags, environment });
  assert.ok(mode !== undefined);
  return {
    config,
    queue: queueSettings(config, mode),
    store: storeSettings(config, { mode: resolveMode(config, environment), environment }),
    webhooks: webhookSettings(config, environment),
    model: modelSettings(config, { defaultModel: undefined, environment }),
    engine: engineOptions(config, environment),
  };
}

test('the embedded queue and store are files of the data folder', async () => {
  const dataDir = join(folder, 'data');
  const settings = await settingsOf({ dataDir });
  await using queue = await openQueue(settings.queue, { logger });
  await queue.enqueue([{ text: 'a' }], { nameOf: () => 'a' });
  assert.ok(existsSync(join(dataDir, 'queue.sqlite')));
  await using opened = await openStore(settings.store, { logger });
  assert.equal(await opened.publicUrl('file:///x/generated/a.png'), 'file:///x/generated/a.png');
});

test('looking only makes no queue', async () => {
  const dataDir = join(folder, 'nothing');
  const { queue: settings } = await settingsOf({ dataDir });
  await using queue = await openQueue(settings, { logger, looksOnly: true });
  assert.equal((await queue.counts()).pending, 0);
  assert.ok(!existsSync(dataDir));
});

test('signed URLs without a key that can sign are refused before anything is asked', async () => {
  const { store } = await settingsOf({ mongoUri: 'mongodb://127.0.0.1:1/d', gcsBucket: 'pictures', signedUrls: true });
  await assert.rejects(openStore(store, { logger }), { code: 'conflicting_options' });
});

test('a secret that nothing is signed with is refused', async () => {
  const { queue: settings, webhooks } = await settingsOf({ dataDir: join(folder, 'hooks') });
  await using queue = await openQueue(settings, { logger });
  const secrets = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
  assert.throws(() => webhookDeliverer({ ...webhooks, secrets }, { outbox: queue.outbox, logger }), {
    code: 'conflicting_options',
  });
});

test('a model is the folder that is named, else the demo checkpoint, and a model of the hub is not fetched for a look', async () => {
  const { model } = await settingsOf({});
  const demo = await findModel(model, { logger });
  assert.equal(demo.folder, fileURLToPath(new URL('../../models/demo', import.meta.url)));
  const own = join(folder, 'my-model');
  mkdirSync(own);
  assert.deepEqual(await findModel({ ...model, model: own }, { logger }), { folder: own, name: 'my-model' });
  writeFileSync(join(folder, 'file'), '');
  const file = join(folder, 'file');
  assert.deepEqual(await findModel({ ...model, model: file }, { logger }), { folder: file, name: 'file' });
  const ended: string[] = [];
  const events = { onEnd: (name: string) => void ended.push(name) };
  await assert.rejects(findModel({ ...model, model: 'owner/name' }, { logger, events, cacheOnly: true }), {
    code: 'model_not_found',
  });
  assert.deepEqual(ended, ['owner/name']);
});

test('an empty queue is drained without a model, which is not even looked for, and a signal that came before ends the run at once', async () => {
  const { model, ...settings } = await settingsOf({ dataDir: join(folder, 'drained') });
  const events: WorkerEvent[] = [];
  const healthFile = join(folder, 'health');
  const run = (signal: AbortSignal) =>
    runUntilStopped(
      {
        ...settings,
        // Not in the cache, so it would be missed as soon as somebody looked for it.
        model: { ...model, model: 'owner/not-in-the-cache', offline: true },
        worker: { limits: DEFAULT_LIMITS, defaults: {}, until: 'drained', batchSize: 1, graceMs: 1000 },
        healthFile,
      },
      { logger, signal, onEvent: (event) => events.push(event) },
    );
  const outcome = await run(new AbortController().signal);
  assert.deepEqual(outcome?.owed, { pending: 0, dead: 0 });
  assert.equal(outcome.failure, undefined);
  assert.deepEqual(events, []);
  assert.equal(await run(AbortSignal.abort()), undefined);
  assert.ok(!existsSync(healthFile) || readFileSync(healthFile, 'utf8').includes('trouble'));
});
