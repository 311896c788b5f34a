/** `POST /v1/images/generations`: adds the prompt to the queue, waits for it, and answers with its images. */
import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { REQUEST_FIELDS } from '../../job/request-fields.ts';
import type { Front, StoredImage } from '../front/front.ts';
import type { ModelChoice } from '../front/model-directory.ts';
import { withFirst } from '../images/first-piece.ts';
import type { DoorTools } from '../server/door.ts';
import { answerTo } from '../server/status-of.ts';
import { type ImageRequest, readImageRequest } from './image-request.ts';
import { imagesAnswer, type Usage, usageOf } from './images-answer.ts';
import { imagesStream } from './images-stream.ts';
import { headerText, noticeHeaders } from './notices.ts';
import { type AddedJob, addJob, completedJob, logStreamEnd, STREAM_WAIT_MS } from './one-job.ts';
import { refusedValue } from './stated-value.ts';

/** LibreChat sends these names without a `response_format`, and reads URLs only. */
const URL_BY_DEFAULT: ReadonlySet<string | undefined> = new Set(['dall-e-2', 'dall-e-3']);

/** A request whose job is in the queue. */
interface Begun extends AddedJob {
  readonly request: ImageRequest;
  readonly model: ModelChoice;
  readonly usage: Usage;
  /** Of the request; the job may add some. */
  readonly warnings: readonly string[];
  readonly isUrlWanted: boolean;
}

export function imagesHandler(front: Front, tools: DoorTools) {
  return async (httpRequest: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const begun = await begin(httpRequest, front, tools);
    reply.headers({ 'text2img-id': begun.id, 'text2img-model': headerText(begun.model.id) });
    return begun.request.isStream
      ? sendStream(reply, begun, { front, tools })
      : sendAnswer(reply, begun, { front, tools });
  };
}

/** Everything that can be refused is refused here, with a status. */
async function begin(httpRequest: FastifyRequest, front: Front, tools: DoorTools): Promise<Begun> {
  const caller = tools.caller(httpRequest);
  const { body } = httpRequest;
  const request = readImageRequest(body);
  const model = front.models.resolve(request.model);
  const isUrlWanted = wantsUrl(request, tools);
  const prompt = request.document[REQUEST_FIELDS.prompt.wire];
  const usage = usageOf(typeof prompt === 'string' ? await tools.countTokens(prompt) : 0);
  const { ids, warnings } = await addJob(front, { caller, request, model, body });
  const [id = ''] = ids;
  return { caller, request, model, id, usage, warnings: [...request.warnings, ...warnings], isUrlWanted };
}

/** @throws `invalid_parameter` where URLs are asked for and cannot be signed */
function wantsUrl({ responseFormat, model, isStream }: ImageRequest, { signer }: DoorTools): boolean {
  if (isStream || responseFormat === 'b64_json') return false;
  if (responseFormat === undefined) return URL_BY_DEFAULT.has(model) && signer !== undefined;
  if (signer !== undefined) return true;
  throw refusedValue('response_format', 'url', '"b64_json" only, because this server has no secret to sign URLs with');
}

interface Served {
  readonly front: Front;
  readonly tools: DoorTools;
}

async function sendAnswer(reply: FastifyReply, begun: Begun, { front, tools }: Served): Promise<FastifyReply> {
  const { caller, model, usage, request, isUrlWanted } = begun;
  const job = await completedJob(front, begun);
  const images = await front.imagesOf(job);
  const warnings = [...begun.warnings, ...(job.warnings ?? [])];
  const { ignored } = request;
  const signed = ({ index }: StoredImage): string => tools.signUrl(caller, job.id, index);
  const urlOf = isUrlWanted ? signed : undefined;
  const texts = imagesAnswer({ job, model: model.id, usage, ignored, warnings, images, urlOf });
  reply.headers(noticeHeaders({ ignored, warnings })).type('application/json');
  return reply.send(Readable.from(await withFirst(texts), { objectMode: false }));
}

function sendStream(reply: FastifyReply, begun: Begun, { front, tools }: Served): FastifyReply {
  const { id, request, usage, warnings } = begun;
  const { document, partialImages, ignored } = request;
  const texts = imagesStream({
    id,
    document,
    partialImages,
    usage,
    wait: (onEvent) =>
      completedJob(front, begun, { timeoutMs: STREAM_WAIT_MS, onEvent, withPreviews: partialImages > 0 }),
    images: (job) => front.imagesOf(job),
    onTrouble(thrown) {
      const error = Text2ImgError.from(thrown);
      logStreamEnd(tools.logger, begun, error);
      return { error, status: answerTo(error).status };
    },
  });
  reply
    .headers({
      ...noticeHeaders({ ignored, warnings }),
      'cache-control': 'no-cache, no-transform',
      'x-accel-buffering': 'no',
    })
    .type('text/event-stream');
  return reply.send(Readable.from(texts, { objectMode: false }));
}
