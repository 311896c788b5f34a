/** `/metrics` on the server. It asks for a key like every other route; `--metrics-port` has a listener that asks for none. */
import type { FastifyInstance } from 'fastify';
import type { MetricsPage } from './metrics-listener.ts';

export const METRICS_PATH = '/metrics';

export function addMetricsRoute(app: FastifyInstance, metrics: MetricsPage): void {
  app.get(METRICS_PATH, async (_request, reply) => {
    const page = await metrics.page();
    return reply.header('content-type', metrics.contentType).header('cache-control', 'no-store').send(page);
  });
}
