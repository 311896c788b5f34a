/** Describes the routes of OpenAI's API, for the OpenAPI document. Each of them also works without `/v1`. */
import type { PromptLimits } from '../../job/limits.ts';
import { promptFields } from '../openapi/prompt-schema.ts';
import { type DoorDescription, reference, type RouteRecord, type Schema } from '../openapi/route-record.ts';

const JSON_TYPE = 'application/json';
const TEXT: Schema = { type: 'string' };
const COUNT: Schema = { type: 'integer', minimum: 0 };

const ERROR: Schema = {
  type: 'object',
  properties: {
    error: {
      type: 'object',
      properties: { message: TEXT, type: TEXT, param: { type: ['string', 'null'] }, code: TEXT },
      required: ['message', 'type', 'param', 'code'],
    },
  },
  required: ['error'],
};

const IMAGES: Schema = {
  type: 'object',
  properties: {
    created: COUNT,
    id: { ...TEXT, description: 'The prompt’s id, for the jobs API.' },
    model: TEXT,
    data: {
      type: 'array',
      items: {
        type: 'object',
        properties: { b64_json: TEXT, url: TEXT, seed: COUNT },
        description: 'Either `b64_json` or `url`.',
      },
    },
    usage: { type: 'object', properties: { input_tokens: COUNT, output_tokens: COUNT, total_tokens: COUNT } },
  },
  required: ['created', 'data', 'usage'],
};

const MODEL: Schema = {
  type: 'object',
  properties: { id: TEXT, object: { const: 'model' }, created: COUNT, owned_by: TEXT },
  required: ['id', 'object', 'created', 'owned_by'],
};

const GENERATE: RouteRecord = {
  method: 'post',
  path: '/v1/images/generations',
  operationId: 'openaiGenerate',
  summary: 'Generate images and wait for them',
  description:
    'Our request fields stand beside those of OpenAI. With `stream` the answer is `text/event-stream`. Fields without an effect are named in the header `text2img-ignored`.',
  body: { description: 'OpenAI’s fields, and ours.', content: { [JSON_TYPE]: reference('OpenAIGenerate') } },
  answers: {
    200: { description: 'The images.', content: { [JSON_TYPE]: reference('OpenAIImages'), 'text/event-stream': TEXT } },
  },
  errors: [400, 401, 403, 404, 409, 410, 413, 415, 422, 429, 500, 501, 503, 504],
};

const MODELS: readonly RouteRecord[] = [
  {
    method: 'get',
    path: '/v1/models',
    operationId: 'openaiListModels',
    summary: 'List the models and their aliases',
    answers: { 200: { description: 'The models.', content: { [JSON_TYPE]: reference('OpenAIModels') } } },
    errors: [401, 403, 500, 503],
  },
  {
    method: 'get',
    path: '/v1/models/{model}',
    operationId: 'openaiGetModel',
    summary: 'Show a model',
    parameters: [{ name: 'model', in: 'path', description: 'A name; slashes may be encoded.', schema: TEXT }],
    answers: { 200: { description: 'The model.', content: { [JSON_TYPE]: reference('OpenAIModel') } } },
    errors: [401, 403, 404, 500, 503],
  },
];

const CONTENT: RouteRecord = {
  method: 'get',
  path: '/v1/images/{id}/content',
  operationId: 'openaiImageContent',
  summary: 'Show an image by the id of its answer',
  description: 'As SGLang has it. Images are counted from 0.',
  parameters: [
    { name: 'id', in: 'path', description: 'The `id` of the answer.', schema: TEXT },
    {
      name: 'variant',
      in: 'query',
      description: 'Which image. Default: 0.',
      schema: { type: 'string', pattern: '^(0|[1-9][0-9]{0,5})$' },
    },
  ],
  answers: {
    200: { description: 'The image.', content: { 'image/png': { type: 'string', format: 'binary' } } },
    206: {
      description: 'The part that `range` asked for.',
      content: { 'image/png': { type: 'string', format: 'binary' } },
    },
    304: { description: 'The copy that `if-none-match` names is still good.' },
  },
  errors: [401, 403, 404, 409, 410, 416, 500, 503],
};

function refused(route: 'edits' | 'variations'): RouteRecord {
  return {
    method: 'post',
    path: `/v1/images/${route}`,
    operationId: route === 'edits' ? 'openaiEdit' : 'openaiVary',
    summary: 'Is refused: images cannot be given yet',
    answers: {},
    errors: [401, 403, 501],
  };
}

export function describeOpenai(limits: PromptLimits): DoorDescription {
  return {
    title: 'OpenAI',
    description: 'OpenAI’s images API. Each route but that of an image also works without `/v1`.',
    routes: [GENERATE, CONTENT, ...MODELS, refused('edits'), refused('variations')],
    schemas: {
      OpenAIGenerate: {
        type: 'object',
        properties: {
          prompt: { ...TEXT, description: 'Text that describes the image.' },
          model: { type: ['string', 'null'], description: 'Default: the first model.' },
          n: { type: ['integer', 'null'], minimum: 1, maximum: limits.maxImages, description: 'Images.' },
          size: { type: ['string', 'null'], description: '`WIDTHxHEIGHT`, or `auto` for the model’s own.' },
          response_format: { enum: ['b64_json', 'url', null] },
          output_format: { enum: ['png', null] },
          stream: { type: ['boolean', 'null'] },
          partial_images: { type: ['integer', 'null'], minimum: 0, maximum: 3, description: 'Previews in a stream.' },
          ...promptFields(limits, ['text', 'num_images']),
        },
        required: ['prompt'],
      },
      OpenAIImages: IMAGES,
      OpenAIModel: MODEL,
      OpenAIModels: {
        type: 'object',
        properties: { object: { const: 'list' }, data: { type: 'array', items: reference('OpenAIModel') } },
        required: ['object', 'data'],
      },
      OpenAIError: ERROR,
    },
    error: { contentType: JSON_TYPE, schema: reference('OpenAIError') },
  };
}
