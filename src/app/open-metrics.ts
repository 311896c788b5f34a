/** Opens the metrics of a process. Their package is loaded only where somebody scrapes. */
import type { MetricsPlace } from '../http/metrics/metrics-listener.ts';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';
import type { PromptQueue } from '../queue/prompt-queue.ts';

export interface OpenMetrics extends AsyncDisposable {
  readonly metrics: Metrics;
}

interface Watched {
  readonly queue: Pick<PromptQueue, 'depth' | 'oldestPendingMs'>;
  readonly logger: Logger;
}

/** Of a worker. @param place undefined: nobody scrapes @throws `invalid_option` when nothing can listen there */
export async function openMetrics(place: MetricsPlace | undefined, watched: Watched): Promise<OpenMetrics | undefined> {
  return place === undefined ? undefined : openServerMetrics(place, watched);
}

/** Of a server, which shows them itself. @param place of a listener beside it @throws as `openMetrics` */
export async function openServerMetrics(
  place: MetricsPlace | undefined,
  { queue, logger }: Watched,
): Promise<OpenMetrics> {
  const { Metrics } = await import('../observability/metrics.ts');
  const metrics = new Metrics();
  metrics.watchQueue({
    depth: (most) => queue.depth({ status: 'pending', most }),
    oldestPendingMs: () => queue.oldestPendingMs(),
  });
  if (place === undefined) return { metrics, [Symbol.asyncDispose]: async () => {} };
  const { listenForScrapes } = await import('../http/metrics/metrics-listener.ts');
  const listener = await listenForScrapes(metrics, place, logger);
  return { metrics, [Symbol.asyncDispose]: () => listener[Symbol.asyncDispose]() };
}
