/** Any JSON in any field of a body is read, or refused with an error that is the request's fault. */
import assert from 'node:assert/strict';
import { validateHeaderValue } from 'node:http';
import { test } from 'node:test';
import fc from 'fast-check';
import { Text2ImgError } from '../../../src/errors/text2img-error.ts';
import { readGenerateRequest } from '../../../src/http/ollama/generate-request.ts';
import { openAiError } from '../../../src/http/openai/errors.ts';
import { readImageRequest } from '../../../src/http/openai/image-request.ts';
import { noticeHeaders } from '../../../src/http/openai/notices.ts';
import { DEFAULT_LIMITS } from '../../../src/job/limits.ts';
import { parsePromptDocument } from '../../../src/job/prompt-document.ts';
import { REQUEST_FIELDS } from '../../../src/job/request-fields.ts';
import { hostileName } from '../../lib/foreign-input.ts';

const NAMES = [
  ...Object.values(REQUEST_FIELDS).map(({ wire }) => wire),
  'prompt',
  'n',
  'size',
  'steps',
  'cfg',
  'sampler',
  'stream',
  'partial_images',
  'response_format',
  'output_format',
  'model',
  'lora',
  'options',
];
const tagged = fc.jsonValue().map((json) => `a <sd_cpp_extra_args>${JSON.stringify(json)}</sd_cpp_extra_args>`);
const value = fc.oneof(
  fc.jsonValue(),
  fc.integer(),
  fc.double(),
  fc.string({ unit: 'binary' }),
  tagged,
  fc.constantFrom('512x512', '2', 'true'),
);
const body = fc.dictionary(fc.oneof(fc.constantFrom(...NAMES), hostileName), value, { maxKeys: 6 });
const withPrompt = fc
  .tuple(fc.oneof(fc.constant({}), fc.constant({ prompt: 'a fox' })), body)
  .map((parts) => Object.assign({}, ...parts) as object);

for (const [name, read] of [
  ['OpenAI’s', readImageRequest],
  ['Ollama’s', readGenerateRequest],
] as const)
  test(`any body of ${name} API is read, or refused as the request’s fault`, () => {
    fc.assert(
      fc.property(fc.oneof(withPrompt, fc.jsonValue()), (json) => {
        try {
          const request = read(json);
          for (const [header, text] of Object.entries(noticeHeaders(request))) validateHeaderValue(header, text);
          try {
            parsePromptDocument(request.document, DEFAULT_LIMITS);
          } catch (error) {
            throw request.inItsNames(Text2ImgError.from(error));
          }
        } catch (thrown) {
          const error = Text2ImgError.from(thrown);
          assert.equal(error.fault, 'request', error.stack);
          const { param, message } = openAiError(error, 400);
          assert.ok(message.length < 600 && (param === null || param.length <= 60));
        }
      }),
      { numRuns: 3000 },
    );
  });
