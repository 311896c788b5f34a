/** The body of `POST /api/generate`: the request fields at its top and in `options`. One image is made. */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { REQUEST_FIELDS } from '../../job/request-fields.ts';
import { isRecord, own } from '../../lib/foreign-record.ts';
import { quote } from '../../lib/foreign-text.ts';
import { readModel } from '../openai/image-request.ts';
import type { ReadBody } from '../openai/one-job.ts';
import { inNamesOfBody, readRequestFields } from '../openai/request-fields.ts';
import { readFlag } from '../openai/stated-value.ts';

export interface GenerateRequest extends ReadBody {
  readonly model: string | undefined;
  readonly isStream: boolean;
  readonly ignored: readonly string[];
  readonly warnings: readonly string[];
}

const READ_HERE: ReadonlySet<string> = new Set(['model', 'stream', 'options']);

/** @throws `invalid_document`, `invalid_prompt`, `invalid_parameter`, `not_implemented` */
export function readGenerateRequest(body: unknown): GenerateRequest {
  if (!isRecord(body))
    throw new Text2ImgError('invalid_document', `the body is ${quote(body)}; a JSON object is needed.`);
  const options = own(body, 'options');
  const fields = { ...(isRecord(options) ? options : {}), ...body };
  const { document, names, ignored, warnings } = readRequestFields(fields, { others: READ_HERE });
  const { [REQUEST_FIELDS.numImages.wire]: count, ...one } = document;
  const stream = own(body, 'stream') ?? undefined;
  return {
    document: one,
    model: readModel(own(body, 'model')),
    isStream: stream === undefined || readFlag('stream', stream),
    ignored: [...ignored, ...(count === undefined ? [] : [names.get(REQUEST_FIELDS.numImages.wire) ?? ''])],
    warnings,
    inItsNames: (error) => inNamesOfBody(error, names, own(fields, 'size')),
  };
}
