/** The routes of prompts that are there: show, list, cancel, retry, delete, and their images. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { quote } from '../../lib/foreign-text.ts';
import type { JobSummary } from '../../queue/prompt-queue.ts';
import { imageAt, sendImage } from '../images/send-image.ts';
import { imageIndexOf } from '../images/sign-url.ts';
import type { Caller } from '../front/caller.ts';
import type { Front } from '../front/front.ts';
import type { DoorTools } from '../server/door.ts';
import { isEnded } from './job-events.ts';
import { readListQuery } from './list-query.ts';
import { API_PATH, PROMPTS_PATH } from './paths.ts';
import { promptPath } from './prompt-view.ts';
import { estimateOf, viewFor } from './view-for.ts';

const PROMPT_PATH = `${PROMPTS_PATH}/:id`;

export function registerPromptRoutes(app: FastifyInstance, front: Front, tools: DoorTools): void {
  const shown = async (caller: Caller, job: JobSummary): Promise<unknown> =>
    viewFor(job, { caller, tools, estimate: await estimateOf(job, front) });

  app.get(PROMPTS_PATH, async (request, reply) => list(request, reply, { front, tools }));

  app.get(PROMPT_PATH, async (request) => {
    const caller = tools.caller(request);
    return shown(caller, await front.show(caller, idOf(request)));
  });

  app.post(`${PROMPT_PATH}/cancel`, async (request) => {
    const [caller, id] = [tools.caller(request), idOf(request)];
    if (!(await front.cancel(caller, id))) throw wrongState(await front.show(caller, id), 'cancelled', 'has ended');
    return shown(caller, await front.show(caller, id));
  });

  app.post(`${PROMPT_PATH}/retry`, async (request, reply) => {
    const [caller, id] = [tools.caller(request), idOf(request)];
    if (!(await front.retry(caller, id))) throw wrongState(await front.show(caller, id), 'retried', 'has not ended');
    reply.code(202).header('location', `${caller.host}${promptPath(id)}`);
    return shown(caller, await front.show(caller, id));
  });

  app.delete(PROMPT_PATH, async (request, reply) => {
    const [caller, id] = [tools.caller(request), idOf(request)];
    // A worker that still generates would store images after the deletion.
    if (!isEnded(await front.show(caller, id))) await front.cancel(caller, id);
    await front.remove(caller, id);
    return reply.code(204).send();
  });

  app.get(`${PROMPT_PATH}/images/:file`, async (request, reply) => {
    const [caller, id] = [tools.caller(request), idOf(request)];
    const { file } = request.params as { readonly file: string };
    const index = imageIndexOf(file);
    if (index === undefined)
      throw new Text2ImgError('not_found', `There is no image ${quote(file)}: they are called 0.png, 1.png and so on.`);
    const place = { id, index };
    const image = imageAt(await front.images(caller, id), place);
    return sendImage(request, reply, { place, image, cacheControl: 'private, no-cache' });
  });

  app.get(`${API_PATH}/models`, async (request) => {
    tools.caller(request);
    const models = front.models.list();
    return { models: models.map(({ id, aliases, isDefault }) => ({ id, aliases, is_default: isDefault })) };
  });
}

export function idOf({ params }: FastifyRequest): string {
  return (params as { readonly id: string }).id;
}

function wrongState({ id, status }: JobSummary, done: string, why: string): Text2ImgError {
  return new Text2ImgError(
    'wrong_job_state',
    `The prompt ${quote(id)} is ${quote(status)}: it ${why}, so it cannot be ${done}.`,
  );
}

async function list(
  request: FastifyRequest,
  reply: FastifyReply,
  { front, tools }: { readonly front: Front; readonly tools: DoorTools },
): Promise<unknown> {
  const caller = tools.caller(request);
  const options = readListQuery(request.query);
  const { jobs, next } = await front.list(caller, options);
  if (next !== undefined) reply.header('link', `<${nextPath(request, next)}>; rel="next"`);
  return { prompts: jobs.map((job) => viewFor(job, { caller, tools })), next_cursor: next ?? null };
}

/** The same list behind the cursor. */
function nextPath({ url }: FastifyRequest, cursor: string): string {
  const query = new URLSearchParams(url.split('?')[1]);
  query.set('cursor', cursor);
  return `${PROMPTS_PATH}?${query.toString()}`;
}
