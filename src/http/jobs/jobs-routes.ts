/** Describes the routes of the jobs API and of signed images, for the OpenAPI document. */
import type { PromptLimits } from '../../job/limits.ts';
import {
  type AnswerRecord,
  type DoorDescription,
  type ParameterRecord,
  reference,
  type RouteRecord,
} from '../openapi/route-record.ts';
import { jobsSchemas } from './jobs-schemas.ts';
import { DEFAULT_PAGE, LARGEST_API_PAGE, MAX_MODEL_LENGTH, STATUSES } from './list-query.ts';
import { API_PATH, PROMPTS_PATH } from './paths.ts';
import { PROBLEM_TYPE } from '../server/problem.ts';
import { LONGEST_WAIT_S } from './request-headers.ts';

const PROMPT_PATH = `${PROMPTS_PATH}/{id}`;
/** Any route may end with them: where keys are asked for, or the queue cannot be read. */
const ALWAYS = [401, 403, 500, 503];

const ID: ParameterRecord = {
  name: 'id',
  in: 'path',
  description: 'The prompt’s id.',
  schema: { type: 'string', minLength: 1 },
};
const IMAGE_FILE: ParameterRecord = {
  name: 'file',
  in: 'path',
  description: '`0.png` for the first image, `1.png` for the second.',
  schema: { type: 'string', pattern: '^(0|[1-9][0-9]{0,5})\\.png$' },
};

const promptAnswer = (description: string): AnswerRecord => ({
  description,
  content: { 'application/json': reference('Prompt') },
});

const TAKEN_ANSWER: AnswerRecord = {
  description: 'The prompt, or `{"prompts": […]}` for a list, is in the queue.',
  headers: {
    location: { description: 'Where a single prompt is shown.', schema: { type: 'string', format: 'uri' } },
    'preference-applied': { description: 'The wait that was granted.', schema: { type: 'string' } },
  },
  content: { 'application/json': { anyOf: [reference('Prompt'), reference('Prompts')] } },
};

const IMAGE_ANSWERS: RouteRecord['answers'] = {
  200: {
    description: 'The image.',
    headers: {
      etag: { description: 'The same bytes have the same tag.', schema: { type: 'string' } },
      'accept-ranges': { description: '`bytes`', schema: { type: 'string' } },
    },
    content: { 'image/png': { type: 'string', format: 'binary' } },
  },
  206: {
    description: 'The part that `range` asked for.',
    headers: { 'content-range': { description: 'Which part.', schema: { type: 'string' } } },
    content: { 'image/png': { type: 'string', format: 'binary' } },
  },
  304: { description: 'The copy that `if-none-match` names is still good.' },
};
const IMAGE_HEADERS: readonly ParameterRecord[] = [
  { name: 'range', in: 'header', description: 'One range of bytes.', schema: { type: 'string' } },
  { name: 'if-none-match', in: 'header', description: 'The tag of a copy.', schema: { type: 'string' } },
];

const CREATE: RouteRecord = {
  method: 'post',
  path: PROMPTS_PATH,
  operationId: 'createPrompts',
  summary: 'Add a prompt, or a list of prompts',
  description:
    'The fields are those of prompt documents. Other fields are kept with the document. All prompts of a list are added, or none.',
  parameters: [
    {
      name: 'prefer',
      in: 'header',
      description: `\`wait=n\` waits up to n seconds, at most ${LONGEST_WAIT_S}, for the images.`,
      schema: { type: 'string', examples: ['wait=30'] },
    },
    {
      name: 'cancel-after',
      in: 'header',
      description: 'Cancels what has not ended by then: `90s`, `5m`, `1h`; from 5 s to 24 h.',
      schema: { type: 'string', pattern: '^[0-9]{1,9}[smh]?$', examples: ['90s'] },
    },
    {
      name: 'idempotency-key',
      in: 'header',
      description: 'The same key with the same body adds the prompts once, for 24 hours.',
      schema: { type: 'string', minLength: 1, maxLength: 255, pattern: '^[!-~]([ -~]*[!-~])?$' },
    },
  ],
  body: {
    description: 'A prompt, or a list of prompts.',
    content: {
      'application/json': {
        anyOf: [reference('NewPrompt'), { type: 'array', items: reference('NewPrompt'), minItems: 1 }],
      },
    },
    example: { text: 'a red circle', seed: 7, num_inference_steps: 20 },
  },
  answers: {
    200: { ...TAKEN_ANSWER, description: 'All have ended: they were waited for, or the request is a repeat.' },
    202: TAKEN_ANSWER,
  },
  errors: [400, 404, 410, 413, 415, 422, 429, 501, ...ALWAYS],
};

const LIST: RouteRecord = {
  method: 'get',
  path: PROMPTS_PATH,
  operationId: 'listPrompts',
  summary: 'List prompts, the newest first',
  parameters: [
    { name: 'status', in: 'query', description: 'Only those.', schema: { type: 'string', enum: STATUSES } },
    {
      name: 'model',
      in: 'query',
      description: 'Only those of this model.',
      schema: { type: 'string', minLength: 1, maxLength: MAX_MODEL_LENGTH },
    },
    {
      name: 'limit',
      in: 'query',
      description: `At most so many. Default: ${DEFAULT_PAGE}.`,
      schema: { type: 'integer', minimum: 1, maximum: LARGEST_API_PAGE },
    },
    {
      name: 'cursor',
      in: 'query',
      description: 'The `next_cursor` of the page before.',
      schema: { type: 'string', minLength: 1 },
    },
  ],
  answers: {
    200: {
      description: 'A page. Go on until `next_cursor` is null.',
      headers: { link: { description: 'The next page, as `rel="next"`.', schema: { type: 'string' } } },
      content: { 'application/json': reference('Prompts') },
    },
  },
  errors: [400, ...ALWAYS],
};

const OF_ONE: readonly RouteRecord[] = [
  {
    method: 'get',
    path: PROMPT_PATH,
    operationId: 'getPrompt',
    summary: 'Show a prompt, with its place in the queue and its images',
    parameters: [ID],
    answers: { 200: promptAnswer('The prompt.') },
    errors: [404, 409, ...ALWAYS],
  },
  {
    method: 'delete',
    path: PROMPT_PATH,
    operationId: 'deletePrompt',
    summary: 'Delete a prompt and its images',
    description:
      'A prompt that has not ended is cancelled first. Then the images go, and the document last. It stays where the store does not let the images go.',
    parameters: [ID],
    answers: { 204: { description: 'Prompt and images are gone.' } },
    errors: [404, 409, 501, ...ALWAYS],
  },
  {
    method: 'post',
    path: `${PROMPT_PATH}/cancel`,
    operationId: 'cancelPrompt',
    summary: 'Cancel a prompt that has not ended',
    parameters: [ID],
    answers: { 200: promptAnswer('The prompt, ended with the code `cancelled`.') },
    errors: [404, 409, ...ALWAYS],
  },
  {
    method: 'post',
    path: `${PROMPT_PATH}/retry`,
    operationId: 'retryPrompt',
    summary: 'Generate a prompt again that has ended',
    parameters: [ID],
    answers: { 202: promptAnswer('The prompt, pending again.') },
    errors: [404, 409, ...ALWAYS],
  },
  {
    method: 'get',
    path: `${PROMPT_PATH}/events`,
    operationId: 'watchPrompt',
    summary: 'Watch a prompt',
    description:
      'Server-sent events. `status` has `ahead`, the number of prompts before it. `progress` has `step` and `steps`, `preview` a small PNG in base64. The last one is `completed` or `error`, with the prompt. A comment comes every 10 s. A stream that ends without one of the last two was cut off: connect again with `last-event-id`.',
    parameters: [
      ID,
      {
        name: 'last-event-id',
        in: 'header',
        description: 'The id of the last event that you got.',
        schema: { type: 'string' },
      },
    ],
    answers: {
      200: { description: 'The events.', content: { 'text/event-stream': reference('Event') } },
      204: { description: 'You have the last event already.' },
    },
    errors: [404, 409, ...ALWAYS],
  },
  {
    method: 'get',
    path: `${PROMPT_PATH}/images/{file}`,
    operationId: 'getImage',
    summary: 'Read an image',
    parameters: [ID, IMAGE_FILE, ...IMAGE_HEADERS],
    answers: IMAGE_ANSWERS,
    errors: [404, 409, 410, 416, ...ALWAYS],
  },
];

const MODELS: RouteRecord = {
  method: 'get',
  path: `${API_PATH}/models`,
  operationId: 'listModels',
  summary: 'List the models, the default one first',
  answers: { 200: { description: 'The models.', content: { 'application/json': reference('Models') } } },
  errors: ALWAYS,
};

const SIGNED_IMAGE: RouteRecord = {
  method: 'get',
  path: '/images/{id}/{file}',
  operationId: 'getSignedImage',
  summary: 'Read an image by its signed link',
  description: 'The `signed_url` of an image. It needs no key and lives for an hour.',
  parameters: [
    ID,
    IMAGE_FILE,
    {
      name: 'exp',
      in: 'query',
      description: 'The end of the link’s life, in seconds since 1970.',
      schema: { type: 'integer', minimum: 0 },
      isRequired: true,
    },
    { name: 'sig', in: 'query', description: 'The signature.', schema: { type: 'string' }, isRequired: true },
    ...IMAGE_HEADERS,
  ],
  answers: IMAGE_ANSWERS,
  errors: [403, 404, 409, 410, 416, 500, 503],
  isPublic: true,
};

export function describeJobs(limits: PromptLimits): DoorDescription {
  return {
    title: 'Jobs',
    description: 'Prompts as documents of the queue: add them, watch them, read their images.',
    routes: [CREATE, LIST, ...OF_ONE, MODELS, SIGNED_IMAGE],
    schemas: jobsSchemas(limits),
    error: { contentType: PROBLEM_TYPE, schema: reference('Problem') },
  };
}
