/**
 * Runs the HTTP server from its settings to its end: queue, store, keys, doors, and with the embedded queue a worker in the same process. At the signal
 * the readiness check fails at once, requests are taken for a few seconds more, and those that wait have the grace period.
 */
import { once } from 'node:events';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { DOORS } from '../http/doors.ts';
import { KeyFile } from '../http/keys/key-file.ts';
import { buildServer } from '../http/server/build-server.ts';
import { Lifecycle } from '../http/server/lifecycle.ts';
import { messageOf, systemCode } from '../lib/disk-errors.ts';
import { pause } from '../lib/pause.ts';
import { HealthFile } from '../observability/health-file.ts';
import type { PromptQueue } from '../queue/prompt-queue.ts';
import { closing } from './closing.ts';
import { clipTokenCounter } from './count-tokens.ts';
import { openServerMetrics } from './open-metrics.ts';
import { openFront, openWorkers } from './open-front.ts';
import { openQueue } from './open-queue.ts';
import { openStore } from './open-store.ts';
import { OwnWorker } from './own-worker.ts';
import type { RunOptions } from './run-worker.ts';
import type { ServeSettings } from './server-settings.ts';
import { urlSigner } from './url-secret.ts';

export interface ServeOptions extends Omit<RunOptions, 'onReady'> {
  /** Once, with the URL that the server listens on. */
  readonly onListening: (url: string) => void;
}

/** Load balancers need a moment to notice that the server is going. */
export const ACCEPT_MS = 5000;
/** For the last answers, behind the grace period. */
const LAST_ANSWERS_MS = 1000;

/** @throws what opening throws; why the worker of this process cannot have its model */
export async function runServer(settings: ServeSettings, options: ServeOptions): Promise<void> {
  const { logger } = options;
  const keys = settings.apiKeys === undefined ? undefined : await KeyFile.open(settings.apiKeys, logger);
  await using healthFile = new HealthFile(settings.healthFile, logger);
  using _serving = healthFile.whileServing();
  const signer = await urlSigner(settings);
  const models = await settings.models();
  await using opened = closing(await openStore(settings.store, options));
  await using queue = closing(await openQueue(settings.queue, options));
  const lifecycle = new Lifecycle();
  await using scraped = await openServerMetrics(settings.metrics, { queue: queue.resource, logger });
  const { metrics } = scraped;
  await using workers = await openWorkers(queue.resource, options);
  await using front = openFront(settings, options, {
    queue: queue.resource,
    store: opened.resource.store,
    workers,
    models,
    hasOwnWorker: () => settings.run !== undefined && worker.trouble === undefined,
    ending: lifecycle.ending,
  });
  // Wrong credentials are reported at once, not by every request.
  await queueTrouble(queue.resource).then((trouble) => {
    if (trouble !== undefined) throw trouble;
  });
  using worker = new OwnWorker(settings.run, { ...options, metrics });
  const app = buildServer({
    front,
    doors: DOORS,
    logger,
    keys,
    origins: settings.origins,
    lifecycle,
    readiness: {
      queue: () => queueTrouble(queue.resource),
      worker: () => worker.trouble,
      // Its own worker lives from the moment that it is ready; the others are read again every few seconds.
      liveWorkers: () => workers.working && Math.max(workers.working.length, Number(worker.isReady)),
    },
    signer,
    countTokens: clipTokenCounter(),
    metrics,
  });
  try {
    options.onListening(await listen(app, settings));
    worker.start();
    const failure = await worker.untilStopped(options.signal);
    await shutDown(app, { lifecycle, worker, settings, isFailing: failure !== undefined });
    if (failure !== undefined) throw failure;
  } finally {
    worker[Symbol.dispose]();
    lifecycle.end();
    app.server.closeAllConnections();
    await app.close();
    await worker.ended;
  }
}

type App = ReturnType<typeof buildServer>;

/** @returns the URL @throws `invalid_option` */
async function listen(app: App, { host, port }: Pick<ServeSettings, 'host' | 'port'>): Promise<string> {
  try {
    await app.ready();
    app.server.listen({ host, port });
    await once(app.server, 'listening');
  } catch (error) {
    const code = systemCode(error);
    const reason = code === 'EADDRINUSE' ? 'another program listens there; give another --port' : messageOf(error);
    throw new Text2ImgError('invalid_option', `The server cannot listen on port ${port} of ${host}: ${reason}.`, {
      cause: error,
    });
  }
  const address = app.server.address();
  const listening = typeof address === 'object' && address !== null ? address.port : port;
  // Nobody can open 0.0.0.0 in a browser everywhere.
  const name = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host.includes(':') ? `[${host}]` : host;
  return `http://${name}:${listening}`;
}

interface Ending {
  readonly lifecycle: Lifecycle;
  readonly worker: OwnWorker;
  readonly settings: ServeSettings;
  readonly isFailing: boolean;
}

async function shutDown(app: App, { lifecycle, worker, settings, isFailing }: Ending): Promise<void> {
  lifecycle.drain();
  if (!isFailing) await pause(settings.acceptMs ?? ACCEPT_MS);
  lifecycle.close();
  const closed = app.close().then(() => true);
  const graceMs = isFailing ? 0 : settings.graceMs;
  // After its end this process's own worker generates nothing more.
  const lastWork = settings.run === undefined ? pause(graceMs) : Promise.race([worker.ended, pause(graceMs)]);
  if ((await Promise.race([closed, lastWork])) === true) return;
  // The last ends are read, and the answers are written.
  await Promise.race([closed, pause(LAST_ANSWERS_MS)]);
  lifecycle.end();
  await Promise.race([closed, pause(LAST_ANSWERS_MS)]);
}

async function queueTrouble(queue: PromptQueue): Promise<Text2ImgError | undefined> {
  try {
    await queue.depth({ status: 'pending', most: 1 });
    return undefined;
  } catch (error) {
    return Text2ImgError.from(error);
  }
}
