/**
 * `/livez` and `/readyz`. The first says that the event loop answers, and nothing else: a server that is restarted because its database is away helps
 * nobody. The second says whether requests should come here.
 */
import type { FastifyInstance } from 'fastify';
import type { Text2ImgError } from '../../errors/text2img-error.ts';
import type { Lifecycle } from './lifecycle.ts';

export interface ReadinessChecks {
  /** Why the queue cannot be read; undefined: it can. Asked at most once in ten seconds. */
  readonly queue: () => Promise<Text2ImgError | undefined>;
  /** Why this process's own worker has no model; undefined: it has, it is loading, or there is no such worker. */
  readonly worker: () => Text2ImgError | undefined;
  /** Workers that live; undefined: nobody knows. None is no reason to send requests elsewhere: they queue. */
  readonly liveWorkers: () => number | undefined;
}

interface Readiness {
  readonly status: 'ready' | 'not ready';
  readonly reasons: readonly string[];
  readonly live_workers: number | null;
}

/** A queue read is believed for so long. */
const READ_AGE_MS = 10_000;

export function addReadiness(app: FastifyInstance, checks: ReadinessChecks, lifecycle: Lifecycle): void {
  let last: { readonly atMs: number; readonly trouble: Promise<Text2ImgError | undefined> } | undefined;
  const queueTrouble = (): Promise<Text2ImgError | undefined> => {
    if (last === undefined || performance.now() - last.atMs > READ_AGE_MS)
      last = { atMs: performance.now(), trouble: checks.queue() };
    return last.trouble;
  };
  app.get('/livez', { config: { access: 'open' } }, () => ({ status: 'live' }));
  app.get('/readyz', { config: { access: 'open' } }, async (_request, reply) => {
    const reasons = lifecycle.draining.aborted
      ? ['shutting_down']
      : [(await queueTrouble())?.code, checks.worker()?.code];
    const told = reasons.filter((reason) => reason !== undefined);
    const body: Readiness = {
      status: told.length === 0 ? 'ready' : 'not ready',
      reasons: told,
      live_workers: checks.liveWorkers() ?? null,
    };
    return reply
      .code(told.length === 0 ? 200 : 503)
      .header('cache-control', 'no-store')
      .send(body);
  });
}
