/** `POST txt2img`: enqueues, waits, and answers with the images. */
import { createHash, randomInt } from 'node:crypto';
import { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';
import type { ErrorCode } from '../../errors/error-codes.ts';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import type { Caller } from '../front/caller.ts';
import { errorOf } from '../front/ended-job.ts';
import type { EndedJob, Front } from '../front/front.ts';
import { withFirst } from '../images/first-piece.ts';
import { headerText, noticeHeaders } from '../openai/notices.ts';
import type { DefaultModels } from './default-models.ts';
import type { RunningRequest } from './running-requests.ts';
import type { SharedRequests } from './shared-requests.ts';
import { answerPieces } from './txt2img-answer.ts';
import { infoText } from './txt2img-info.ts';
import { readTxt2Img } from './txt2img-request.ts';

interface Txt2ImgParts {
  readonly front: Front;
  readonly requests: SharedRequests;
  readonly defaults: DefaultModels;
}

interface Txt2ImgCall {
  readonly caller: Caller;
  readonly json: unknown;
  readonly reply: FastifyReply;
}

/** As the web UI's own random seeds. */
const SEEDS = 2 ** 32;

/** @throws what the front throws, and the error of a job that failed */
export async function txt2img(
  { front, requests, defaults }: Txt2ImgParts,
  { caller, json, reply }: Txt2ImgCall,
): Promise<FastifyReply> {
  const request = readTxt2Img(json, () => seedFor(caller));
  const model =
    request.model === undefined
      ? await defaults.of(caller)
      : { id: front.models.resolve(request.model).id, warnings: [] };
  const prompts = request.documents.map((document) => ({ document, model: model.id }));
  const created = await front.create(caller, prompts, { body: request.body, isWatched: true });
  // On errors too, such as a wait that was too long.
  reply.headers({ 'text2img-id': created.ids.join(', '), 'text2img-model': headerText(model.id) });
  const jobs = await requests.during(caller, created.ids, async (waiting) => {
    try {
      const ended = await front.wait(caller, created.ids, { onEvent: (event) => waiting.onEvent(event) });
      const isStopped = ended.some(isCancelled) && (await requests.stopOf(caller, waiting)) !== undefined;
      return completedOf(ended, isStopped);
    } catch (error) {
      await leave(front, { caller, waiting, error });
      throw error;
    }
  });
  const images = await Promise.all(jobs.map((job) => front.imagesOf(job)));
  const warnings = [...model.warnings, ...request.warnings, ...created.warnings, ...jobWarnings(jobs)];
  const [document = {}] = request.documents;
  const pieces = answerPieces({
    images: images.flat(),
    sendsImages: request.sendsImages,
    parameters: request.parameters,
    infoOf: (facts) => infoText({ jobs, document, model: model.id, images: facts, warnings, now: new Date() }),
  });
  const body = await withFirst(pieces);
  return reply
    .headers({
      'content-type': 'application/json; charset=utf-8',
      ...noticeHeaders({ ignored: [], warnings }),
    })
    .send(Readable.from(body, { objectMode: false }));
}

/** Of several passes that state none. Two servers that add the jobs of one `Idempotency-Key` at once must add the same ones. */
function seedFor({ key, idempotencyKey }: Caller): number {
  if (idempotencyKey === undefined) return randomInt(SEEDS);
  const named = JSON.stringify([key?.name ?? null, idempotencyKey]);
  return createHash('sha256').update(named).digest().readUInt32BE();
}

const LOST: ReadonlySet<string> = new Set<ErrorCode>(['client_disconnected', 'no_worker']);

interface LostRequest {
  readonly caller: Caller;
  readonly waiting: RunningRequest;
  readonly error: unknown;
}

/** The front cancels the job of a request that its client left, where a retry does not take it over. Of several jobs no retry does. */
async function leave(front: Front, { caller, waiting, error }: LostRequest): Promise<void> {
  const isLost = error instanceof Text2ImgError && LOST.has(error.code);
  if (!isLost || waiting.ids.length === 1 || caller.idempotencyKey !== undefined) return;
  await Promise.allSettled(waiting.open.map((id) => front.cancel(caller, id)));
}

/** @throws the error of the first job that failed; one that the caller stopped has not failed */
function completedOf(ended: readonly EndedJob[], isStopped: boolean): readonly EndedJob[] {
  const failed = ended.find((job) => job.status === 'error' && !(isStopped && isCancelled(job)));
  if (failed !== undefined) throw errorOf(failed);
  return ended.filter(({ status }) => status === 'completed');
}

function isCancelled({ code }: EndedJob): boolean {
  return code === 'cancelled';
}

/** Each sentence once: the jobs of one request get the same warnings. */
function jobWarnings(jobs: readonly EndedJob[]): readonly string[] {
  return [...new Set(jobs.flatMap(({ warnings = [] }) => warnings))];
}
