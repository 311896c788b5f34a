/** `POST /api/generate`: lines of JSON with the progress, then one with the image; with `stream: false` that one alone. */
import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import type { EndedJob, Front } from '../front/front.ts';
import { jsonWithImage } from '../images/base64-pieces.ts';
import { withFirst } from '../images/first-piece.ts';
import { EventFeed, SIGN_OF_LIFE_MS } from '../openai/event-feed.ts';
import { headerText, noticeHeaders } from '../openai/notices.ts';
import { type AddedJob, addJob, completedJob, logStreamEnd, STREAM_WAIT_MS } from '../openai/one-job.ts';
import type { DoorTools } from '../server/door.ts';
import { readGenerateRequest } from './generate-request.ts';
import { chosenModel } from './models.ts';

const NS_PER_MS = 1e6;

interface Begun extends AddedJob {
  readonly front: Front;
  /** As the client named it. */
  readonly model: string;
  readonly beganMs: number;
}

export function generateHandler(front: Front, tools: DoorTools) {
  return async (httpRequest: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const beganMs = performance.now();
    const caller = tools.caller(httpRequest);
    const request = readGenerateRequest(httpRequest.body);
    const model = chosenModel(front.models, request.model);
    const { ids, warnings } = await addJob(front, { caller, request, model, body: httpRequest.body });
    const [id = ''] = ids;
    const begun: Begun = { front, caller, id, model: model.asked ?? model.id, beganMs };
    const notices = { ignored: request.ignored, warnings: [...request.warnings, ...warnings] };
    reply.headers({ 'text2img-id': id, 'text2img-model': headerText(model.id), ...noticeHeaders(notices) });
    if (request.isStream) {
      reply.type('application/x-ndjson').header('x-accel-buffering', 'no');
      return reply.send(Readable.from(lines(begun, tools), { objectMode: false }));
    }
    const pieces = await withFirst(lastLine(begun, await completedJob(front, begun)));
    return reply.type('application/json').send(Readable.from(pieces, { objectMode: false }));
  };
}

/** An error that comes after the first line is a line. @throws only in the middle of the image, which breaks the connection */
async function* lines(begun: Begun, { logger }: DoorTools): AsyncGenerator<string> {
  const feed = new EventFeed();
  let last = progressLine(begun, { completed: 0, total: 0 });
  let isWithinLine = false;
  yield line(last);
  try {
    const end = completedJob(begun.front, begun, {
      timeoutMs: STREAM_WAIT_MS,
      onEvent(event) {
        if (event.type !== 'progress') return;
        last = progressLine(begun, { completed: event.step, total: event.steps });
        feed.push(line(last));
      },
    });
    yield* feed.until(end, { signOfLife: () => line(last), everyMs: SIGN_OF_LIFE_MS });
    for await (const text of lastLine(begun, await end)) {
      isWithinLine = true;
      yield text;
    }
    yield '\n';
  } catch (thrown) {
    const error = Text2ImgError.from(thrown);
    logStreamEnd(logger, begun, error);
    if (isWithinLine) throw error;
    yield line({ error: error.message });
  }
}

function progressLine({ model }: Begun, progress: { readonly completed: number; readonly total: number }): object {
  return { model, created_at: new Date().toISOString(), response: '', ...progress, done: false };
}

/** Without the line's end. */
async function* lastLine({ front, id, model, beganMs }: Begun, job: EndedJob): AsyncGenerator<string, void> {
  const { seed, finishedAt } = job;
  const [image] = await front.imagesOf(job);
  if (image === undefined) throw new Text2ImgError('deleted', `the image of the job ${id} is not there any more.`);
  const before = { model, created_at: (finishedAt ?? new Date()).toISOString(), response: '' };
  const after = {
    ...(seed === undefined ? {} : { seed }),
    done: true,
    done_reason: 'stop',
    total_duration: Math.round((performance.now() - beganMs) * NS_PER_MS),
    load_duration: 0,
  };
  yield* jsonWithImage(image, { before, name: 'image', after });
}

function line(value: object): string {
  return `${JSON.stringify(value)}\n`;
}
