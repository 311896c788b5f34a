/** The JSON schemas of the tools' arguments. That of `generate_image` follows from the table of request fields. */
import type { JsonSchema } from '../../job/field-types.ts';
import { whole } from '../../job/field-types.ts';
import type { PromptLimits } from '../../job/limits.ts';
import type { FieldTable } from '../../job/request-field.ts';
import { REQUEST_FIELDS } from '../../job/request-fields.ts';

type Property = (Omit<JsonSchema, 'type'> & { readonly type: JsonSchema['type'] | 'boolean' }) & {
  readonly description: string;
  readonly default?: number | boolean;
};

export interface ToolSchema {
  readonly type: 'object';
  readonly properties: Readonly<Record<string, Property>>;
  readonly required?: readonly string[];
}

/** Most clients end a call after 60 s, and for some progress does not prolong it. */
export const DEFAULT_WAIT_SECONDS = 50;
/** Node's own `fetch` ends a request after 300 s without an answer. */
export const WAIT_SECONDS = whole({ min: 0, max: 280 });

/** How the table's fields are called here: as in documents, save for the prompt, which every tool calls `prompt`. */
export const ARGUMENT_FIELDS: ReadonlyMap<string, FieldTable[string]> = new Map(
  Object.entries<FieldTable[string]>(REQUEST_FIELDS).map(([name, field]) => [
    name === 'prompt' ? name : field.wire,
    field,
  ]),
);

const ID: Property = { type: 'string', description: 'The id that generate_image returned.' };
const INCLUDE_IMAGES: Property = {
  type: 'boolean',
  description: 'false: the answer has the URLs of the images and not the images.',
  default: true,
};

function wait(seconds: number, description: string): Property {
  return { ...WAIT_SECONDS.json, description, default: seconds };
}

/** It names the common fields only, because an agent reads it in every conversation. The others are allowed too. */
export function generateSchema(limits: PromptLimits): ToolSchema {
  const common = [...ARGUMENT_FIELDS].filter(([, { flag }]) => flag !== undefined && flag.isRare !== true);
  return {
    type: 'object',
    properties: {
      ...Object.fromEntries(common.map(([name, field]) => [name, propertyOf(field, limits)])),
      model: { type: 'string', description: 'A name from list_models. If omitted, the default model.' },
      wait_seconds: wait(DEFAULT_WAIT_SECONDS, 'Seconds to wait. If the images take longer, call get_prompt.'),
      include_images: INCLUDE_IMAGES,
    },
    required: ['prompt'],
  };
}

export const GET_SCHEMA: ToolSchema = {
  type: 'object',
  properties: { id: ID, wait_seconds: wait(0, 'Seconds to wait for the end.'), include_images: INCLUDE_IMAGES },
  required: ['id'],
};

export const CANCEL_SCHEMA: ToolSchema = { type: 'object', properties: { id: ID }, required: ['id'] };

export const NO_ARGUMENTS: ToolSchema = { type: 'object', properties: {} };

function propertyOf(
  { help, type, default: fallback, defaultText }: FieldTable[string],
  limits: PromptLimits,
): Property {
  const { json } = type(limits);
  const byDefault = defaultText ?? (typeof fallback === 'number' ? String(fallback) : undefined);
  return { ...json, description: byDefault === undefined ? `${help}.` : `${help}. Default: ${byDefault}.` };
}
