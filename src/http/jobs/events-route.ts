/** `GET /api/v1/prompts/{id}/events`: what happens to a job, as it happens, as server-sent events. */
import { Readable } from 'node:stream';
import { setImmediate as macrotask } from 'node:timers/promises';
import type { FastifyInstance } from 'fastify';
import type { JobSummary } from '../../queue/prompt-queue.ts';
import type { Caller } from '../front/caller.ts';
import type { Front } from '../front/front.ts';
import type { DoorTools } from '../server/door.ts';
import { EventFeed } from './event-feed.ts';
import { EVENT_STREAM_TYPE, eventStream } from './event-stream.ts';
import { endEvent, endId, followJob, isEnded, presentEvents } from './job-events.ts';
import { PROMPTS_PATH } from './paths.ts';
import { idOf } from './prompt-routes.ts';
import { estimateOf, viewFor } from './view-for.ts';

export function registerEvents(app: FastifyInstance, front: Front, tools: DoorTools): void {
  app.get(`${PROMPTS_PATH}/:id/events`, async (request, reply) => {
    const caller = tools.caller(request);
    const job = await front.show(caller, idOf(request));
    const lastId = headerText(request.headers['last-event-id']);
    // 204 tells a browser not to connect again.
    if (isEnded(job) && lastId === endId(job)) return reply.code(204).send();
    reply.headers({ 'content-type': EVENT_STREAM_TYPE, 'cache-control': 'no-store', 'x-accel-buffering': 'no' });
    if (request.method === 'HEAD') return reply.send();
    return reply.send(
      Readable.from(eventStream(await feedOf(job, { front, caller, tools, lastId })), { objectMode: false }),
    );
  });
}

interface Watching {
  readonly front: Front;
  readonly caller: Caller;
  readonly tools: DoorTools;
  readonly lastId: string | undefined;
}

async function feedOf(job: JobSummary, { front, caller, tools, lastId }: Watching): Promise<EventFeed> {
  const feed = new EventFeed(caller.gone, lastId);
  const view = (one: JobSummary): unknown => viewFor(one, { caller, tools });
  if (isEnded(job)) {
    feed.push(endEvent(job, view));
    feed.end();
    return feed;
  }
  const estimate = await estimateOf(job, front);
  for (const event of presentEvents(job, estimate?.position)) feed.push(event);
  const following = followJob(job.id, { front, caller, view, feed });
  // A wait that is refused is refused at once, and then the answer can still say so.
  const refusal = await Promise.race([following, macrotask(undefined)]);
  if (refusal !== undefined) throw refusal;
  return feed;
}

function headerText(header: string | readonly string[] | undefined): string | undefined {
  return typeof header === 'string' ? header : undefined;
}
