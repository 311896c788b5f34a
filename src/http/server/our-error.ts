/** Turns any error of a request into a `Text2ImgError`. Fastify's own refusals have their codes in `fastify/lib/errors.js`. */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import type { ErrorCode } from '../../errors/error-codes.ts';
import { isRecord, own } from '../../lib/foreign-record.ts';

/** With our own sentences, because fastify's may quote the request. */
const FASTIFY_CODES: Readonly<Record<string, readonly [ErrorCode, string]>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: ['body_too_large', 'The body has more bytes than this route reads.'],
  FST_ERR_CTP_INVALID_MEDIA_TYPE: [
    'unsupported_media_type',
    'This route does not read this content-type. Send application/json.',
  ],
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: ['invalid_request', 'The body has another length than content-length says.'],
  FST_ERR_BAD_URL: ['invalid_request', 'The URL holds a percent sign that encodes nothing.'],
  FST_ERR_MAX_PARAM_LENGTH: ['not_found', 'There is nothing under this URL: a part of it is too long.'],
};

export function ourError(raw: unknown): Text2ImgError {
  if (raw instanceof Text2ImgError) return raw;
  const code = isRecord(raw) ? own(raw, 'code') : undefined;
  const known = typeof code === 'string' ? own(FASTIFY_CODES, code) : undefined;
  if (known !== undefined) return new Text2ImgError(known[0], known[1], { cause: raw });
  // Of fastify's own errors it stands in the prototype of some.
  const status = isRecord(raw) ? raw['statusCode'] : undefined;
  if (typeof status === 'number' && status >= 400 && status < 500)
    return new Text2ImgError('invalid_request', 'The request could not be read.', { cause: raw });
  return Text2ImgError.from(raw);
}
