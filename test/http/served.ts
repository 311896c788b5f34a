/**
 * A server with a worker in this process: the embedded queue (or MongoDB), a folder as the store, the instant engine. Nothing in it is a stand-in but the
 * engine's pixels.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { FastifyInstance } from 'fastify';
import { clipTokenCounter } from '../../src/app/count-tokens.ts';
import { DOORS } from '../../src/http/doors.ts';
import type { FrontLimits } from '../../src/http/front/limits.ts';
import { KnownWorkers } from '../../src/http/front/known-workers.ts';
import { type NamedModel, NamedModels } from '../../src/http/front/model-directory.ts';
import type { Front } from '../../src/http/front/front.ts';
import { QueueFront, type QueueFrontOptions } from '../../src/http/front/queue-front.ts';
import { createKey } from '../../src/http/keys/edit-key-file.ts';
import { KeyFile } from '../../src/http/keys/key-file.ts';
import { buildServer, type ServerOptions } from '../../src/http/server/build-server.ts';
import type { Door } from '../../src/http/server/door.ts';
import { Lifecycle } from '../../src/http/server/lifecycle.ts';
import { DEFAULT_LIMITS } from '../../src/job/limits.ts';
import { type Logger, silentLogger } from '../../src/observability/logger.ts';
import { MongoPromptQueue } from '../../src/queue/mongo/mongo-prompt-queue.ts';
import type { PromptQueue } from '../../src/queue/prompt-queue.ts';
import { SqlitePromptQueue } from '../../src/queue/sqlite/sqlite-prompt-queue.ts';
import { FileImageStore } from '../../src/storage/file/file-image-store.ts';
import { DEFAULT_OBJECT_PREFIX } from '../../src/storage/object-prefix.ts';
import type { WorkerOptions } from '../../src/worker/worker-contract.ts';
import { runWorker } from '../../src/worker/worker.ts';
import { instantModels, startInstantPool } from '../engine/instant-engine.ts';
import { NO_WEBHOOKS } from '../worker/no-webhooks.ts';

export interface ServeOptions {
  /** Names of keys that are made; a name that begins with `admin` is an admin's. Default: no keys are asked for. */
  readonly keys?: readonly string[];
  /** The default first. Default: one, "instant". */
  readonly models?: readonly NamedModel[];
  /** Default: true. */
  readonly worker?: boolean | Partial<WorkerOptions>;
  /** Default: the embedded queue in a new folder. */
  readonly mongoUri?: string;
  /** Of another server of the same test: both share queue and store. */
  readonly folder?: string;
  /** Default: those of `http/doors.ts`. */
  readonly doors?: readonly Door[];
  readonly limits?: Partial<FrontLimits>;
  readonly front?: Partial<QueueFrontOptions>;
  readonly server?: Partial<ServerOptions>;
  readonly logger?: Logger;
}

export interface Served {
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  readonly app: FastifyInstance;
  readonly inject: FastifyInstance['inject'];
  readonly queue: PromptQueue;
  readonly store: FileImageStore;
  readonly front: Front;
  readonly lifecycle: Lifecycle;
  readonly folder: string;
  /** The key of this name. */
  secretOf(name: string): string;
  stop(): Promise<void>;
}

export async function serve(t: Pick<TestContext, 'after'>, options: ServeOptions = {}): Promise<Served> {
  const folder = options.folder ?? (await mkdtemp(join(tmpdir(), 'text2img-served-')));
  const logger = options.logger ?? silentLogger;
  const queue = openQueue(folder, options);
  const store = new FileImageStore(folder);
  const lifecycle = new Lifecycle();
  const { sideData } = queue;
  const workers = await KnownWorkers.open({ workers: sideData.workers, canWrite: () => sideData.canWrite(), logger });
  const front = new QueueFront({
    queue,
    store,
    objectPrefix: DEFAULT_OBJECT_PREFIX,
    models: new NamedModels({
      named: options.models ?? [{ id: 'instant', aliases: [] }],
      fallback: 'instant',
      isStrict: false,
      ofWorkers: () => [],
      nowMs: Date.now,
    }),
    limits: { ...DEFAULT_LIMITS, maxQueueLength: 10_000, maxWaiting: 1000, maxPrompts: 100, ...options.limits },
    workers,
    waitTimeoutMs: 60_000,
    noWorkerTimeoutMs: 30_000,
    logger,
    ending: lifecycle.ending,
    ...options.front,
  });
  const { keys, secrets } = await makeKeys(folder, options, logger);
  const app = buildServer({
    front,
    doors: options.doors ?? DOORS,
    logger,
    keys,
    origins: { allowed: new Set(), publicUrl: undefined, hosts: new Set<string>(), checksHosts: true },
    lifecycle,
    readiness: { queue: async () => undefined, worker: () => undefined, liveWorkers: () => undefined },
    signer: undefined,
    countTokens: clipTokenCounter(),
    ...options.server,
  });
  const url = await app.listen({ port: 0, host: '127.0.0.1' });
  const stopWorker = options.worker === false ? async () => {} : startWorker(queue, store, { logger, ...options });
  let stopping: Promise<void> | undefined;
  const stop = (): Promise<void> =>
    (stopping ??= (async () => {
      lifecycle.end();
      app.server.closeAllConnections();
      await app.close();
      await front[Symbol.asyncDispose]();
      await workers[Symbol.asyncDispose]();
      await stopWorker();
      await queue[Symbol.asyncDispose]();
      if (options.folder === undefined) await rm(folder, { recursive: true, force: true });
    })());
  t.after(stop);
  const secretOf = (name: string): string => secrets.get(name) ?? '';
  return { url, app, inject: app.inject.bind(app), queue, store, front, lifecycle, folder, secretOf, stop };
}

function openQueue(folder: string, { mongoUri: uri }: ServeOptions): PromptQueue {
  const common = { leaseMs: 60_000, maxAttempts: 5, owner: 'test' };
  if (uri === undefined) return new SqlitePromptQueue({ path: join(folder, 'queue.sqlite'), ...common });
  return new MongoPromptQueue({ uri, uriName: '--mongo-uri', collection: 'prompts', logger: silentLogger, ...common });
}

interface MadeKeys {
  readonly keys: KeyFile | undefined;
  readonly secrets: ReadonlyMap<string, string>;
}

async function makeKeys(folder: string, { keys: names }: ServeOptions, logger: Logger): Promise<MadeKeys> {
  if (names === undefined) return { keys: undefined, secrets: new Map() };
  const path = join(folder, 'keys');
  const secrets = new Map<string, string>();
  for (const name of names) secrets.set(name, await createKey(path, name, { isAdmin: name.startsWith('admin') }));
  return { keys: await KeyFile.open(path, logger), secrets };
}

type WorkerParts = Pick<ServeOptions, 'worker' | 'models'> & { readonly logger: Logger };

/** Works until the function that it returns is called. */
function startWorker(
  queue: PromptQueue,
  store: FileImageStore,
  { worker, models, logger }: WorkerParts,
): () => Promise<void> {
  const controller = new AbortController();
  const working = (async () => {
    await using pool =
      models === undefined ? await startInstantPool({ logger }) : instantModels(models, { logger }).pool;
    if (models !== undefined) await pool.start();
    await runWorker({
      queue,
      store,
      pool,
      webhooks: NO_WEBHOOKS,
      objectPrefix: DEFAULT_OBJECT_PREFIX,
      limits: DEFAULT_LIMITS,
      defaults: { numInferenceSteps: 3 },
      until: 'stopped',
      leaseMs: 60_000,
      maxAttempts: 5,
      owner: 'test',
      batchSize: 4,
      signal: controller.signal,
      graceMs: 0,
      pollMs: 20,
      renewMs: 200,
      logger,
      ...(typeof worker === 'object' ? worker : {}),
    });
  })();
  working.catch(() => undefined);
  return async () => {
    controller.abort();
    await working;
  };
}
