/** Answers with an image out of the store: whole or in part, or that the client's copy is still good. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { quote } from '../../lib/foreign-text.ts';
import { PROBLEM_TYPE, problemOf } from '../server/problem.ts';
import type { StoredImage } from '../front/front.ts';
import { byteRange } from './byte-range.ts';
import { entityTag, isKnown, isSameVersion } from './entity-tag.ts';
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
}

/** @returns the body @throws `deleted`, and what the store throws */
export async function sendImage(
  request: FastifyRequest,
  reply: FastifyReply,
  { place, image, cacheControl }: Sending,
): Promise<unknown> {
  const bytes = await image.read();
  const tag = entityTag(bytes);
  const { 'if-none-match': ifNoneMatch, 'if-range': ifRange, range: asked } = request.headers;
  reply.headers({
    etag: tag,
    'cache-control': cacheControl,
    'accept-ranges': 'bytes',
    'x-content-type-options': 'nosniff',
  });
  if (isKnown(ifNoneMatch, tag)) return reply.code(304).send();
  // A range has a meaning for GET only (RFC 9110, section 14.2).
  const mayBePart = request.method === 'GET' && isSameVersion(headerText(ifRange), tag);
  const range = byteRange(mayBePart ? headerText(asked) : undefined, bytes.length);
  if (range.kind === 'unsatisfiable') return refuseRange(request, reply, bytes.length);
  reply.headers({ 'content-type': 'image/png', 'content-disposition': `inline; filename="${fileName(place)}"` });
  if (range.kind === 'whole') return reply.send(Buffer.from(bytes));
  const { start, end } = range;
  reply.code(206).header('content-range', `bytes ${start}-${end}/${bytes.length}`);
  return reply.send(Buffer.from(bytes.subarray(start, end + 1)));
}

/** The status has no code of its own, as no other request than one for a part of an image ends so. */
function refuseRange(request: FastifyRequest, reply: FastifyReply, sizeBytes: number): FastifyReply {
  const sentence = `The image has ${sizeBytes} bytes, and the range ${quote(request.headers.range)} holds none of them.`;
  const error = new Text2ImgError('invalid_request', sentence);
  const problem = problemOf({ error, status: 416, requestId: request.id });
  reply.code(416).headers({ 'content-range': `bytes */${sizeBytes}`, 'content-type': PROBLEM_TYPE });
  return reply.send(JSON.stringify(problem));
}

/** Browsers propose it when somebody saves the image. */
function fileName({ id, index }: ImagePlace): string {
  return `${id.replaceAll(/[^A-Za-z0-9._-]/g, '_').slice(0, 100)}-${index}.png`;
}

function headerText(header: string | readonly string[] | undefined): string | undefined {
  return typeof header === 'string' ? header : undefined;
}
