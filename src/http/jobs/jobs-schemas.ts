/** The JSON Schemas of the jobs API's answers, for the OpenAPI document. */
import { ERROR_CODES } from '../../errors/error-codes.ts';
import type { PromptLimits } from '../../job/limits.ts';
import { promptSchema } from '../openapi/prompt-schema.ts';
import { reference, type Schema } from '../openapi/route-record.ts';
import { EVENT_NAMES } from './event-feed.ts';
import { STATUSES } from './list-query.ts';
import { MODEL_FIELD } from './new-prompts.ts';

const COUNT: Schema = { type: 'integer', minimum: 0 };
const TIME: Schema = { type: 'string', format: 'date-time' };

const JOB_ERROR: Schema = {
  type: 'object',
  properties: {
    code: { type: 'string', enum: Object.keys(ERROR_CODES), description: 'A code of docs/errors.md.' },
    detail: { type: 'string', description: 'The reason, as a sentence.' },
  },
  required: ['code', 'detail'],
};

const IMAGE: Schema = {
  type: 'object',
  properties: {
    index: { ...COUNT, description: 'From 0.' },
    seed: { ...COUNT, description: 'This image alone comes again with this seed.' },
    url: { type: 'string', format: 'uri', description: 'The PNG; the key that made the prompt may read it.' },
    signed_url: { type: 'string', format: 'uri', description: 'The PNG, for an hour, for every holder of this link.' },
  },
  required: ['index', 'url'],
};

const PROMPT: Schema = {
  type: 'object',
  properties: {
    id: { type: 'string' },
    status: { type: 'string', description: STATUSES.map((status) => `\`${status}\``).join(', ') },
    text: { type: 'string' },
    model: { type: 'string', description: 'The model that generates it.' },
    priority: { type: 'number' },
    attempts: COUNT,
    request: { type: 'object', description: 'The other fields of the request, as they were given.' },
    progress: {
      type: 'object',
      properties: { step: COUNT, steps: COUNT },
      required: ['step', 'steps'],
      description: 'Steps of all images together.',
    },
    queue: {
      type: 'object',
      description: 'Of a pending prompt.',
      properties: {
        ahead: { ...COUNT, description: 'Prompts that are generated before it.' },
        at_least: { type: 'boolean', description: 'There are more ahead than that.' },
        estimated_wait_seconds: { type: ['integer', 'null'], minimum: 0, description: 'null: nobody knows.' },
      },
      required: ['ahead', 'at_least', 'estimated_wait_seconds'],
    },
    images: { type: 'array', items: IMAGE, description: 'Of a completed prompt.' },
    seed: { ...COUNT, description: 'Of the first image.' },
    parameters: { type: 'object', description: 'Every setting that was used.' },
    warnings: { type: 'array', items: { type: 'string' } },
    error: { ...JOB_ERROR, description: 'Why it ended without images.' },
    last_error: { ...JOB_ERROR, description: 'Why the last attempt failed; the next one follows.' },
    enqueued_at: TIME,
    started_at: TIME,
    finished_at: TIME,
    urls: {
      type: 'object',
      properties: {
        self: { type: 'string', format: 'uri' },
        events: { type: 'string', format: 'uri' },
        cancel: { type: 'string', format: 'uri' },
      },
      required: ['self', 'events', 'cancel'],
    },
  },
  required: ['id', 'status', 'text', 'priority', 'attempts', 'urls'],
};

const MODELS: Schema = {
  type: 'object',
  properties: {
    models: {
      type: 'array',
      items: {
        type: 'object',
        properties: {
          id: { type: 'string' },
          aliases: { type: 'array', items: { type: 'string' } },
          is_default: { type: 'boolean' },
        },
        required: ['id', 'aliases', 'is_default'],
      },
    },
  },
  required: ['models'],
};

/** One event of the stream, field by field. */
const EVENT: Schema = {
  type: 'object',
  properties: {
    event: { type: 'string', enum: EVENT_NAMES },
    id: { type: 'string', description: 'For `last-event-id`. Previews have none.' },
    data: { type: 'string', contentMediaType: 'application/json' },
  },
  required: ['event', 'data'],
};

export function jobsSchemas(limits: PromptLimits): Readonly<Record<string, Schema>> {
  return {
    NewPrompt: promptSchema(limits, {
      [MODEL_FIELD]: {
        type: ['string', 'null'],
        description: 'A model of `GET /api/v1/models`. Default: the first one.',
      },
    }),
    Prompt: PROMPT,
    Prompts: {
      type: 'object',
      properties: {
        prompts: { type: 'array', items: reference('Prompt') },
        next_cursor: {
          type: ['string', 'null'],
          description: 'For `cursor`; null: this was the last page. A page without prompts can have one.',
        },
      },
      required: ['prompts'],
    },
    Models: MODELS,
    Event: EVENT,
  };
}
