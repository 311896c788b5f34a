/** The JSON Schema of a prompt document, from the table of request fields. Every door that takes documents or their fields refers to it. */
import type { PromptLimits } from '../../job/limits.ts';
import type { FieldTable } from '../../job/request-field.ts';
import { DOCUMENT_FIELDS, REQUEST_FIELDS } from '../../job/request-fields.ts';
import type { Schema } from './route-record.ts';

/** The service writes these itself. */
export const REFUSED_FIELDS = ['_id', 'job', 'status'] as const;

const TABLE: FieldTable = { ...REQUEST_FIELDS, ...DOCUMENT_FIELDS };

/** The fields of the table that a body may have beside its own. @param without these, which it calls otherwise */
export function promptFields(limits: PromptLimits, without: readonly string[] = []): Readonly<Record<string, Schema>> {
  const fields = Object.values(REQUEST_FIELDS as FieldTable).filter(({ wire }) => !without.includes(wire));
  return Object.fromEntries(fields.map((field) => [field.wire, fieldSchema(field, limits)]));
}

/** @param more fields that the door itself takes beside those of the table */
export function promptSchema(limits: PromptLimits, more: Readonly<Record<string, Schema>> = {}): Schema {
  const fields = Object.values(TABLE);
  return {
    type: 'object',
    description: 'A prompt. Other fields are yours: they are kept with it, and never read.',
    properties: {
      ...Object.fromEntries(fields.map((field) => [field.wire, fieldSchema(field, limits)])),
      ...more,
      ...Object.fromEntries(REFUSED_FIELDS.map((name) => [name, false])),
    },
    required: fields.filter((field) => field.default === 'required').map(({ wire }) => wire),
    additionalProperties: true,
  };
}

/** Of one field. A field that may be left out may also be null, which says the same. */
function fieldSchema(field: FieldTable[string], limits: PromptLimits): Schema {
  const { json, names, allowed } = field.type(limits);
  const values = names === undefined ? json.enum : [...new Set(names)];
  const described = {
    ...json,
    description: `${field.help}. Allowed: ${allowed}.${defaultOf(field)}`,
  };
  if (field.default === 'required') return described;
  return { ...described, type: [json.type, 'null'], ...(values === undefined ? {} : { enum: [...values, null] }) };
}

function defaultOf({ default: value, defaultText }: FieldTable[string]): string {
  if (defaultText !== undefined) return ` Default: ${defaultText}.`;
  return value === null || value === 'required' || typeof value === 'function' ? '' : ` Default: ${String(value)}.`;
}
