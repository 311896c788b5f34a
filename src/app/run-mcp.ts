/**
 * Runs `text2img mcp`: a front over the queue for one agent, on standard input and output. With the embedded queue it runs a worker itself, from the
 * first image on, unless another process of the same folder does.
 */
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import type { Logger } from '../observability/logger.ts';
import { closing } from './closing.ts';
import { LazyWorker } from './lazy-worker.ts';
import { openFront, openWorkers } from './open-front.ts';
import { openQueue } from './open-queue.ts';
import { openStore } from './open-store.ts';
import type { RunOptions } from './run-worker.ts';
import type { ServeSettings } from './server-settings.ts';

export interface McpOptions {
  readonly logger: Logger;
  readonly download?: RunOptions['download'];
  readonly input: Readable;
  readonly output: Writable;
  /** Aborted: the connection is closed, and the jobs at work are released. */
  readonly signal: AbortSignal;
}

/** Until the agent closes its side, or the signal. @throws what opening queue and store throws, `model_not_found` for a name that is none */
export async function runMcp(settings: ServeSettings, options: McpOptions): Promise<void> {
  const { logger, input, output, signal } = options;
  const models = await settings.models();
  await using opened = closing(await openStore(settings.store, options));
  await using queue = closing(await openQueue(settings.queue, options));
  const { resource: prompts } = queue;
  const { store } = opened.resource;
  const ended = new AbortController();
  const ending = AbortSignal.any([signal, ended.signal]);
  await using worker = lazyWorker(settings, { ...options, sideData: prompts.sideData, signal: ending });
  await using workers = await openWorkers(prompts, options);
  // The own worker begins with the first job; if it cannot work, `begin` says so.
  const noWorkerTimeoutMs = worker === undefined ? settings.noWorkerTimeoutMs : Infinity;
  const parts = { queue: prompts, store, workers, models, ending };
  await using front = openFront({ ...settings, noWorkerTimeoutMs }, options, parts);
  try {
    const { serveOverStdio } = await import('../http/mcp/stdio.ts');
    await serveOverStdio({
      front,
      logger,
      input,
      output,
      signal,
      urlOf: ({ imageUrls }, { index }) => imageUrls?.[index],
      onJob: () => worker?.begin(),
    });
  } finally {
    ended.abort();
  }
}

type LazyOptions = Pick<McpOptions, 'logger' | 'download' | 'signal'> & {
  readonly sideData: ConstructorParameters<typeof LazyWorker>[0]['sideData'];
};

/** @returns undefined where other machines have the workers */
function lazyWorker({ queue, run }: ServeSettings, options: LazyOptions): LazyWorker | undefined {
  const { mode } = queue;
  if (mode.kind !== 'embedded' || run === undefined) return undefined;
  return new LazyWorker({ ...options, run, lockFile: join(mode.dataDir, 'mcp.lock') });
}
