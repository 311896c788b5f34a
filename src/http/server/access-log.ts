/**
 * One line for each request: what was asked of which route, how it ended, and how many bytes its answer had with the head. No URL, query, header, body or
 * prompt stands in it.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { omitUndefined } from '../../lib/omit-undefined.ts';
import type { Logger } from '../../observability/logger.ts';
import { type RequestFacts, sentBytes } from './request-facts.ts';

/** Asked every few seconds by machines. */
const PROBES: ReadonlySet<string> = new Set(['/livez', '/readyz', '/metrics']);
/** As nginx has it. */
const CLIENT_GONE = 499;

export interface Answered {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly facts: RequestFacts;
}

export function logAccess(logger: Logger, { request, reply, facts }: Answered): void {
  const route = request.routeOptions.url;
  const sent = sentBytes(request.raw);
  const bytes = sent === undefined || facts.bytesBefore === undefined ? undefined : sent - facts.bytesBefore;
  const fields = {
    method: request.method,
    route: route ?? 'none',
    status: statusOf({ request, reply, facts }),
    ms: Math.round(performance.now() - facts.startedMs),
    request_id: request.id,
    ...omitUndefined({ bytes, key: facts.key?.name }),
  };
  if (route !== undefined && PROBES.has(route)) logger.debug('request', fields);
  else logger.info('request', fields);
}

/** As it was answered, or would have been. */
export function statusOf({ reply, facts }: Answered): number {
  return facts.gone.aborted ? CLIENT_GONE : reply.statusCode;
}
