/** `POST /api/v1/prompts`: adds one prompt or several, and answers at once unless the client prefers to wait. */
import type { FastifyInstance, FastifyReply } from 'fastify';
import type { JobSummary } from '../../queue/prompt-queue.ts';
import type { Caller } from '../front/caller.ts';
import type { Front } from '../front/front.ts';
import { lookAtOwn } from '../front/own-job.ts';
import type { DoorTools } from '../server/door.ts';
import { omitUndefined } from '../../lib/omit-undefined.ts';
import { isEnded } from './job-events.ts';
import { type NewPrompts, readNewPrompts } from './new-prompts.ts';
import { PROMPTS_PATH } from './paths.ts';
import { promptPath } from './prompt-view.ts';
import { cancelAfterMs, preferredWaitS } from './request-headers.ts';
import { estimateOf, viewFor } from './view-for.ts';

export function registerCreate(app: FastifyInstance, front: Front, tools: DoorTools): void {
  app.post(PROMPTS_PATH, async (request, reply) => {
    const caller = tools.caller(request);
    const { models, limits } = front;
    const given = readNewPrompts(request.body, { models, maxPrompts: limits.maxPrompts });
    const waitS = preferredWaitS(request.headers['prefer']);
    const { ids } = await front.create(caller, given.prompts, {
      body: request.body,
      isWatched: waitS !== undefined,
      ...omitUndefined({ cancelAfterMs: cancelAfterMs(request.headers['cancel-after']) }),
    });
    if (waitS !== undefined) {
      await waitFor(ids, { front, caller, waitS });
      reply.header('preference-applied', `wait=${waitS}`);
    }
    const jobs = await Promise.all(ids.map((id) => lookAtOwn(id, front.show(caller, id))));
    return answer(reply, jobs, { front, tools, caller, given });
  });
}

interface Waiting {
  readonly front: Front;
  readonly caller: Caller;
  readonly waitS: number;
}

/** The prompts are in the queue also when the wait fails; the answer shows how they are by then. @throws never */
async function waitFor(ids: readonly string[], { front, caller, waitS }: Waiting): Promise<void> {
  await front.wait(caller, ids, { timeoutMs: waitS * 1000 }).catch(() => undefined);
}

interface Answering {
  readonly front: Front;
  readonly tools: DoorTools;
  readonly caller: Caller;
  readonly given: NewPrompts;
}

/** 200 where all have ended, 202 where some have not. */
async function answer(
  reply: FastifyReply,
  jobs: readonly JobSummary[],
  { front, tools, caller, given }: Answering,
): Promise<unknown> {
  const views = await Promise.all(
    jobs.map(async (job, index) =>
      viewFor(job, { caller, tools, estimate: await estimateOf(job, front), warnings: given.warnings[index] }),
    ),
  );
  const [first] = jobs;
  reply.code(jobs.every(isEnded) ? 200 : 202);
  if (given.isList) return { prompts: views };
  if (first !== undefined) reply.header('location', `${caller.host}${promptPath(first.id)}`);
  return views[0];
}
