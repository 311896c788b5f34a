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

/** Counts, and looks at the queue with bounded statements. */
export async function makeMetrics(queue: Watched['queue']): Promise<Metrics> {
  const { Metrics } = await import('../observability/metrics.ts');
  const metrics = new Metrics();
  metrics.watchQueue({
    depth: (most) => queue.depth({ status: 'pending', most }),
    oldestPendingMs: () => queue.oldestPendingMs(),
  });
  return metrics;
}

/** @param place undefined: nobody scrapes @throws `invalid_option` when nothing can listen there */
export async function openMetrics(
  place: MetricsPlace | undefined,
  { queue, logger }: Watched,
): Promise<OpenMetrics | undefined> {
  if (place === undefined) return undefined;
  const { listenForScrapes } = await import('../http/metrics/metrics-listener.ts');
  const metrics = await makeMetrics(queue);
  const listener = await listenForScrapes(metrics, place, logger);
  return { metrics, [Symbol.asyncDispose]: () => listener[Symbol.asyncDispose]() };
}
