/** Describes the routes of this door for the OpenAPI document. */
import { REQUEST_FIELDS } from '../../job/request-fields.ts';
import { type FieldTable } from '../../job/request-field.ts';
import type { PromptLimits } from '../../job/limits.ts';
import {
  type AnswerRecord,
  type DoorDescription,
  reference,
  type RouteRecord,
  type Schema,
} from '../openapi/route-record.ts';
import { LISTS, NOTHING_TO_DO } from './lists.ts';
import { SAMPLER_LIST, SCHEDULE_LIST } from './samplers.ts';
import { UNSUPPORTED } from './unsupported.ts';

const ROOT = '/sdapi/v1';
/** Any route may end with them. */
const ALWAYS = [401, 403, 500, 503];
const OF_BODIES = [413, 422, ...ALWAYS];

function answer(description: string, schema: Schema = {}): AnswerRecord {
  return { description, content: { 'application/json': schema } };
}

function body(description: string, schema: Schema): NonNullable<RouteRecord['body']> {
  return { description, content: { 'application/json': schema } };
}

const FROM_TABLE: Readonly<Record<string, keyof typeof REQUEST_FIELDS>> = {
  prompt: 'prompt',
  negative_prompt: 'negativePrompt',
  seed: 'seed',
  steps: 'numInferenceSteps',
  cfg_scale: 'guidanceScale',
  width: 'widthPx',
  height: 'heightPx',
  batch_size: 'numImages',
};

function requestSchema(limits: PromptLimits): Schema {
  const table: FieldTable = REQUEST_FIELDS;
  const fields = Object.entries(FROM_TABLE).map(([name, field]) => {
    const { help, type } = table[field] ?? REQUEST_FIELDS.prompt;
    const { multipleOf: _, ...json } = type(limits).json;
    return [name, { ...json, type: [json.type, 'null'], description: `${help}.` }] as const;
  });
  return {
    type: 'object',
    description: 'Fields that have no effect are named in the header `text2img-warnings`.',
    properties: {
      ...Object.fromEntries(fields),
      n_iter: { type: ['integer', 'null'], minimum: 1, maximum: 100, description: 'Jobs of `batch_size` images each.' },
      sampler_name: { type: ['string', 'null'], enum: [...SAMPLER_LIST.map(({ name }) => name), null] },
      scheduler: { type: ['string', 'null'], examples: SCHEDULE_LIST.map(({ name }) => name) },
      clip_skip: { type: ['integer', 'null'], minimum: 1, maximum: 100, description: '1 leaves no layer out.' },
      send_images: { type: 'boolean', default: true },
      override_settings: { type: 'object', description: '`sd_model_checkpoint`, `CLIP_stop_at_last_layers`.' },
    },
    additionalProperties: true,
  };
}

function routes(): readonly RouteRecord[] {
  const lists = ['sd-models', ...Object.keys(LISTS)].map(
    (name): RouteRecord => ({
      method: 'get',
      path: `${ROOT}/${name}`,
      operationId: `webUi_${name.replaceAll('-', '_')}`,
      summary: `List for clients: ${name}`,
      answers: { 200: answer('The list.') },
      errors: ALWAYS,
    }),
  );
  const verbs = ['interrupt', 'skip', ...NOTHING_TO_DO].map(
    (name): RouteRecord => ({
      method: 'post',
      path: `${ROOT}/${name}`,
      operationId: `webUi_${name.replaceAll('-', '_')}`,
      summary: SUMMARIES[name] ?? 'Do nothing: workers load models themselves',
      answers: { 200: answer('Done.') },
      errors: OF_BODIES,
    }),
  );
  const refused = Object.keys(UNSUPPORTED).map(
    (name): RouteRecord => ({
      method: 'post',
      path: `${ROOT}/${name}`,
      operationId: `webUi_${name.replaceAll(/[-/]/g, '_')}`,
      summary: 'Is refused: not supported',
      answers: {},
      errors: [501, ...ALWAYS],
    }),
  );
  return [TXT2IMG, GET_OPTIONS, SET_OPTIONS, PROGRESS, PNG_INFO, ...verbs, ...lists, ...refused];
}

const SUMMARIES: Readonly<Record<string, string>> = {
  interrupt: 'End your requests; they answer with the images that are done',
  skip: 'End the current job of your requests',
};

const TXT2IMG: RouteRecord = {
  method: 'post',
  path: `${ROOT}/txt2img`,
  operationId: 'webUi_txt2img',
  summary: 'Generate images and wait for them',
  body: {
    ...body('The request.', reference('WebUiRequest')),
    example: { prompt: 'a red circle', seed: 7, steps: 20, sampler_name: 'Euler a' },
  },
  answers: {
    200: answer('The images.', {
      type: 'object',
      properties: {
        images: { type: 'array', items: { type: 'string', contentEncoding: 'base64', contentMediaType: 'image/png' } },
        parameters: { type: 'object' },
        info: { type: 'string', contentMediaType: 'application/json' },
      },
      required: ['images', 'parameters', 'info'],
    }),
  },
  errors: [404, 409, 410, 429, 501, 504, ...OF_BODIES],
};

const OPTIONS_SCHEMA: Schema = {
  type: 'object',
  properties: { sd_model_checkpoint: { type: ['string', 'null'] } },
  additionalProperties: true,
};

const GET_OPTIONS: RouteRecord = {
  method: 'get',
  path: `${ROOT}/options`,
  operationId: 'webUi_getOptions',
  summary: 'Show the settings',
  answers: { 200: answer('The settings.', OPTIONS_SCHEMA) },
  errors: ALWAYS,
};

const SET_OPTIONS: RouteRecord = {
  method: 'post',
  path: `${ROOT}/options`,
  operationId: 'webUi_setOptions',
  summary: 'Set the model of your API key',
  body: { ...body('The settings; all but `sd_model_checkpoint` have no effect.', OPTIONS_SCHEMA), isOptional: true },
  answers: { 200: answer('Done.', { type: 'null' }) },
  errors: [404, ...OF_BODIES],
};

const PROGRESS: RouteRecord = {
  method: 'get',
  path: `${ROOT}/progress`,
  operationId: 'webUi_progress',
  summary: 'Show the progress of your requests',
  parameters: [
    {
      name: 'skip_current_image',
      in: 'query',
      description: '`true`: without the preview.',
      schema: { type: 'string', enum: ['true', 'false'] },
    },
  ],
  answers: {
    200: answer('`progress` is 0 and `job_count` is 0 exactly while you have no request.', {
      type: 'object',
      properties: {
        progress: { type: 'number', minimum: 0, maximum: 1 },
        eta_relative: { type: 'number', description: 'Seconds.' },
        state: { type: 'object' },
        current_image: { type: ['string', 'null'] },
        textinfo: { type: 'null' },
      },
      required: ['progress', 'eta_relative', 'state', 'current_image', 'textinfo'],
    }),
  },
  errors: ALWAYS,
};

const PNG_INFO: RouteRecord = {
  method: 'post',
  path: `${ROOT}/png-info`,
  operationId: 'webUi_pngInfo',
  summary: 'Show the parameters inside a PNG',
  body: body('The image in base64, or as a `data:` URL.', {
    type: 'object',
    properties: { image: { type: 'string' } },
    required: ['image'],
  }),
  answers: { 200: answer('The parameters as text and by name.') },
  errors: OF_BODIES,
};

export function describeDoor(limits: PromptLimits): DoorDescription {
  return {
    title: 'API of AUTOMATIC1111’s web UI',
    description: 'For programs that generate images with the web UI.',
    routes: routes(),
    schemas: { WebUiRequest: requestSchema(limits) },
    error: {
      contentType: 'application/json',
      schema: {
        type: 'object',
        properties: {
          detail: { type: 'string' },
          error: { type: 'string' },
          errors: { type: 'string' },
          body: { type: 'string' },
        },
        required: ['detail'],
      },
    },
  };
}
