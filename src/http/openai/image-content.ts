/**
 * `GET /v1/images/{id}/content?variant=k`: an image by the `id` of its answer, counted from 0, for the key that asked for it. Clients of SGLang read
 * images so. Source: SGLang 0.5.23, multimodal_gen/runtime/entrypoints/openai/image_api.py.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { isRecord, own } from '../../lib/foreign-record.ts';
import { quote } from '../../lib/foreign-text.ts';
import type { Front } from '../front/front.ts';
import { imageAt, sendImage } from '../images/send-image.ts';
import type { DoorTools, ErrorAnswer, ErrorBody } from '../server/door.ts';

/** As images are numbered everywhere. */
const VARIANT = /^(?:0|[1-9]\d{0,5})$/;

export function contentHandler(front: Front, tools: DoorTools, errorBody: (answer: ErrorAnswer) => ErrorBody) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<unknown> => {
    const caller = tools.caller(request);
    const { id } = request.params as { readonly id: string };
    const place = { id, index: variantOf(request.query) };
    const image = imageAt(await front.images(caller, id), place);
    return sendImage(request, reply, { place, image, cacheControl: 'private, no-cache', errorBody });
  };
}

/** @throws `not_found`, as for a variant that there is not */
function variantOf(query: unknown): number {
  const variant = isRecord(query) ? own(query, 'variant') : undefined;
  if (variant === undefined || variant === '') return 0;
  if (typeof variant === 'string' && VARIANT.test(variant)) return Number(variant);
  throw new Text2ImgError('not_found', `There is no image ${quote(variant)}: they are counted from 0.`);
}
