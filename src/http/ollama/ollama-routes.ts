/** Describes Ollama's routes, for the OpenAPI document. */
import type { PromptLimits } from '../../job/limits.ts';
import { promptFields } from '../openapi/prompt-schema.ts';
import { type DoorDescription, reference, type RouteRecord, type Schema } from '../openapi/route-record.ts';
import { UNSUPPORTED } from './unsupported.ts';

const TEXT: Schema = { type: 'string' };
/** Any route may end with them. */
const ALWAYS = [401, 403, 500, 503];

function list(path: string, summary: string, name: string): RouteRecord {
  return {
    method: 'get',
    path: `/api/${path}`,
    operationId: `ollama_${path}`,
    summary,
    answers: { 200: { description: summary, content: { 'application/json': reference(name) } } },
    errors: ALWAYS,
  };
}

const LISTS: readonly RouteRecord[] = [
  list('tags', 'List the models and their aliases', 'OllamaModels'),
  list('ps', 'List no model: workers load them by themselves', 'OllamaModels'),
  list('version', 'Show the version of Ollama whose API this is', 'OllamaVersion'),
];

const SHOW: RouteRecord = {
  method: 'post',
  path: '/api/show',
  operationId: 'ollama_show',
  summary: 'Show a model',
  body: { description: 'The name.', content: { 'application/json': reference('OllamaShow') } },
  answers: { 200: { description: 'The model.', content: { 'application/json': reference('OllamaModel') } } },
  errors: [400, 404, 413, ...ALWAYS],
};

const REFUSED: readonly RouteRecord[] = Object.entries(UNSUPPORTED).map(([path, { method }]) => ({
  method: method === 'POST' ? 'post' : 'delete',
  path: `/api/${path}`,
  operationId: `ollama_${path}`,
  summary: 'Is refused: not supported',
  answers: {},
  errors: [501, ...ALWAYS],
}));

export function describeOllama(limits: PromptLimits): DoorDescription {
  return {
    title: 'Ollama',
    description: 'The routes of Ollama 0.32.5 that make images and list models.',
    routes: [
      ...LISTS,
      SHOW,
      ...REFUSED,
      {
        method: 'post',
        path: '/api/generate',
        operationId: 'ollamaGenerate',
        summary: 'Generate an image and wait for it',
        description:
          'The answer is a line of JSON for each step, unless `stream` is false. The last line has the image.',
        body: {
          description: 'Request fields at its top or in `options`.',
          content: { 'application/json': reference('OllamaGenerate') },
        },
        answers: {
          200: {
            description: 'The image, in base64.',
            content: { 'application/json': reference('OllamaAnswer'), 'application/x-ndjson': TEXT },
          },
        },
        errors: [400, 401, 403, 404, 409, 410, 413, 415, 422, 429, 500, 501, 503, 504],
      },
    ],
    schemas: {
      OllamaGenerate: {
        type: 'object',
        properties: {
          model: { type: ['string', 'null'] },
          prompt: TEXT,
          stream: { type: ['boolean', 'null'], description: 'Default: true.' },
          options: { type: 'object', description: 'More request fields.' },
          ...promptFields(limits, ['text', 'num_images']),
        },
        required: ['prompt'],
      },
      OllamaAnswer: {
        type: 'object',
        properties: { model: TEXT, created_at: TEXT, image: TEXT, done: { type: 'boolean' }, done_reason: TEXT },
        required: ['model', 'created_at', 'done'],
      },
      OllamaModels: { type: 'object', properties: { models: { type: 'array' } }, required: ['models'] },
      OllamaVersion: { type: 'object', properties: { version: TEXT }, required: ['version'] },
      OllamaShow: { type: 'object', properties: { model: TEXT }, required: ['model'] },
      OllamaModel: {
        type: 'object',
        properties: {
          details: { type: 'object' },
          model_info: { type: 'object' },
          capabilities: { type: 'array', items: TEXT },
          modified_at: TEXT,
        },
        required: ['details', 'model_info', 'capabilities'],
      },
      OllamaError: { type: 'object', properties: { error: TEXT }, required: ['error'] },
    },
    error: { contentType: 'application/json', schema: reference('OllamaError') },
  };
}
