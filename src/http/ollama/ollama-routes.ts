/** Describes Ollama's route, for the OpenAPI document. */
import type { PromptLimits } from '../../job/limits.ts';
import { promptFields } from '../openapi/prompt-schema.ts';
import { type DoorDescription, reference, type Schema } from '../openapi/route-record.ts';

const TEXT: Schema = { type: 'string' };

export function describeOllama(limits: PromptLimits): DoorDescription {
  return {
    title: 'Ollama',
    description: 'The route of Ollama 0.32.5 that makes images.',
    routes: [
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
      OllamaError: { type: 'object', properties: { error: TEXT }, required: ['error'] },
    },
    error: { contentType: 'application/json', schema: reference('OllamaError') },
  };
}
