/** The body of `POST /v1/images/generations`: OpenAI's fields, and the request fields beside them. */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { isRecord, own } from '../../lib/foreign-record.ts';
import { quote } from '../../lib/foreign-text.ts';
import type { ReadBody } from './one-job.ts';
import { inNamesOfBody, type ReadFields, readRequestFields } from './request-fields.ts';
import { readChoice, readFlag, readWhole, refusedValue } from './stated-value.ts';

type ResponseFormat = 'b64_json' | 'url';

export interface ImageRequest extends ReadBody, Pick<ReadFields, 'ignored' | 'warnings'> {
  /** As the client names it; undefined where it leaves that open. */
  readonly model: string | undefined;
  readonly isStream: boolean;
  /** How many previews a stream shows. */
  readonly partialImages: number;
  /** Undefined where the client leaves that open. */
  readonly responseFormat: ResponseFormat | undefined;
}

const READ_HERE: ReadonlySet<string> = new Set([
  'model',
  'stream',
  'partial_images',
  'response_format',
  'output_format',
]);
const MOST_PARTIAL_IMAGES = 3;

/** @throws `invalid_document`, `invalid_prompt`, `invalid_parameter`, `not_implemented` */
export function readImageRequest(body: unknown): ImageRequest {
  if (!isRecord(body))
    throw new Text2ImgError('invalid_document', `the body is ${quote(body)}; a JSON object is needed.`);
  const { document, names, ignored, warnings } = readRequestFields(body, { others: READ_HERE });
  readChoice('output_format', own(body, 'output_format'), { allowed: ['png'] });
  const isStream = readFlag('stream', own(body, 'stream'));
  const responseFormat = readChoice('response_format', own(body, 'response_format'), { allowed: ['b64_json', 'url'] });
  const isUrlInStream = isStream && responseFormat === 'url';
  return {
    document,
    model: readModel(own(body, 'model')),
    isStream,
    partialImages: readWhole('partial_images', own(body, 'partial_images'), { max: MOST_PARTIAL_IMAGES }) ?? 0,
    responseFormat,
    ignored,
    warnings: [...warnings, ...(isUrlInStream ? ['a stream sends images as "b64_json" only.'] : [])],
    inItsNames: (error) => inNamesOfBody(error, names, own(body, 'size')),
  };
}

/** @throws `invalid_parameter` */
export function readModel(model: unknown): string | undefined {
  if (model === undefined || model === null || model === '') return undefined;
  if (typeof model === 'string') return model;
  throw refusedValue('model', model, 'names as "GET /v1/models" lists them');
}
