/** `/metrics` on the server. It asks for a key like every other route; `--metrics-port` has a listener that asks for none. */
import type { FastifyInstance } from 'fastify';
import type { CountedRequest } from '../../observability/metrics.ts';
import { type Answered, statusOf } from '../server/access-log.ts';
import type { MetricsPage } from './metrics-listener.ts';

export interface ServerMetrics extends MetricsPage {
  ofRequest(request: CountedRequest): void;
}

export function addMetricsRoute(app: FastifyInstance, metrics: MetricsPage): void {
  app.get('/metrics', async (_request, reply) => {
    const page = await metrics.page();
    return reply.header('content-type', metrics.contentType).header('cache-control', 'no-store').send(page);
  });
}

/** A path that is no route counts as `none`: anybody can make up paths. */
export function answeredRequest(answered: Answered): CountedRequest {
  const { request, facts } = answered;
  return {
    method: request.method,
    route: request.routeOptions.url ?? 'none',
    status: statusOf(answered),
    seconds: (performance.now() - facts.startedMs) / 1000,
  };
}
