/** Answers with an image out of the store, piece by piece: whole or in part, or that the client's copy is still good. */
import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { quote } from '../../lib/foreign-text.ts';
import { PROBLEM_TYPE, problemOf } from '../server/problem.ts';
import type { BytePart, OpenImage } from '../../storage/image-store.ts';
import type { StoredImage } from '../front/front.ts';
import { byteRange } from './byte-range.ts';
import { entityTag, isKnown, isSameVersion } from './entity-tag.ts';
import type { ErrorAnswer, ErrorBody } from '../server/door.ts';
import { withFirst } from './first-piece.ts';
import type { ImagePlace } from './sign-url.ts';

/** @throws `not_found` for an image that this job does not have */
export function imageAt(images: readonly StoredImage[], { id, index }: ImagePlace): StoredImage {
  const image = images.find((one) => one.index === index);
  if (image !== undefined) return image;
  const has = images.length === 0 ? 'has no images' : `has the images 0 to ${images.length - 1}`;
  throw new Text2ImgError('not_found', `The prompt ${quote(id)} ${has}; there is no image ${index}.`);
}

interface Sending {
  readonly place: ImagePlace;
  readonly image: StoredImage;
  /** The value of the header. A retry may put another image under the same URL, so none is for ever. */
  readonly cacheControl: string;
  /** An error in the shape of the API. Default: problem details. */
  readonly errorBody?: ((answer: ErrorAnswer) => ErrorBody) | undefined;
}

const PROBLEM = (answer: ErrorAnswer): ErrorBody => ({ contentType: PROBLEM_TYPE, body: problemOf(answer) });

const IMAGE_HEADERS = [
  'etag',
  'cache-control',
  'accept-ranges',
  'content-disposition',
  'content-range',
  'content-length',
];

/** @returns the body @throws `deleted`, and what the store throws */
export async function sendImage(
  request: FastifyRequest,
  reply: FastifyReply,
  { place, image, cacheControl, errorBody = PROBLEM }: Sending,
): Promise<unknown> {
  const opened = await image.open();
  let isSending = false;
  try {
    const part = answerHead(request, reply, { place, image: opened, cacheControl, errorBody });
    if (part === undefined) return reply;
    if (request.method === 'HEAD') return reply.send(Readable.from([]));
    const pieces = await withFirst(piecesOf(opened, part));
    isSending = true;
    return reply.send(Readable.from(pieces, { objectMode: false }));
  } catch (error) {
    // The error that follows is no image: no cache may keep it as one.
    for (const name of IMAGE_HEADERS) reply.removeHeader(name);
    throw error;
  } finally {
    if (!isSending) await opened[Symbol.asyncDispose]();
  }
}

/** Closes the image behind its last piece. */
async function* piecesOf(image: OpenImage, part: BytePart): AsyncGenerator<Uint8Array, void> {
  try {
    yield* image.pieces(part);
  } finally {
    await image[Symbol.asyncDispose]();
  }
}

interface Opened extends Omit<Sending, 'image'> {
  readonly image: OpenImage;
  readonly errorBody: (answer: ErrorAnswer) => ErrorBody;
}

/** Writes status and headers. @returns the bytes that follow; undefined: none do, and the answer is sent */
function answerHead(
  request: FastifyRequest,
  reply: FastifyReply,
  { place, image, cacheControl, errorBody }: Opened,
): BytePart | undefined {
  const { sizeBytes } = image;
  const tag = entityTag(image);
  const { 'if-none-match': ifNoneMatch, 'if-range': ifRange, range: asked } = request.headers;
  reply.headers({
    etag: tag,
    'cache-control': cacheControl,
    'accept-ranges': 'bytes',
    'x-content-type-options': 'nosniff',
  });
  if (isKnown(ifNoneMatch, tag)) return void reply.code(304).send();
  // A range has a meaning for GET only (RFC 9110, section 14.2).
  const mayBePart = request.method === 'GET' && isSameVersion(headerText(ifRange), tag);
  const range = byteRange(mayBePart ? headerText(asked) : undefined, sizeBytes);
  if (range.kind === 'unsatisfiable') return void refuseRange(request, reply, { sizeBytes, errorBody });
  reply.headers({ 'content-type': 'image/png', 'content-disposition': `inline; filename="${fileName(place)}"` });
  const { start, end } = range.kind === 'whole' ? { start: 0, end: sizeBytes - 1 } : range;
  reply.header('content-length', end + 1 - start);
  if (range.kind === 'part') reply.code(206).header('content-range', `bytes ${start}-${end}/${sizeBytes}`);
  return { start, end };
}

/** The status has no code of its own, as no other request than one for a part of an image ends so. */
function refuseRange(
  request: FastifyRequest,
  reply: FastifyReply,
  { sizeBytes, errorBody }: { readonly sizeBytes: number } & Pick<Opened, 'errorBody'>,
): FastifyReply {
  const sentence = `The image has ${sizeBytes} bytes, and the range ${quote(request.headers.range)} holds none of them.`;
  const error = new Text2ImgError('invalid_request', sentence);
  const { contentType, body } = errorBody({ error, status: 416, requestId: request.id });
  reply.code(416).headers({ 'content-range': `bytes */${sizeBytes}`, 'content-type': contentType });
  return reply.send(JSON.stringify(body));
}

/** Browsers propose it when somebody saves the image. */
function fileName({ id, index }: ImagePlace): string {
  return `${id.replaceAll(/[^A-Za-z0-9._-]/g, '_').slice(0, 100)}-${index}.png`;
}

function headerText(header: string | readonly string[] | undefined): string | undefined {
  return typeof header === 'string' ? header : undefined;
}
