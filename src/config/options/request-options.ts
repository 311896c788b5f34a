/** Options: what an image is made from, one for each request field that has a flag. Ranges, defaults and help come from the table of fields. */
import type { FieldType } from '../../job/field-types.ts';
import { NO_LIMITS } from '../../job/limits.ts';
import type { FieldTable, RequestField, SomeValues } from '../../job/request-field.ts';
import { DOCUMENT_FIELDS, REQUEST_FIELDS } from '../../job/request-fields.ts';
import { camelCase } from '../../lib/letter-cases.ts';
import { omitUndefined } from '../../lib/omit-undefined.ts';
import { type CommandName, type OptionSpec, PICTURE, WORKING } from './option-spec.ts';

/** `num_images` → `numImages` */
type Camel<Wire extends string> = Wire extends `${infer First}_${infer Rest}`
  ? `${First}${Capitalize<Camel<Rest>>}`
  : Wire;
type NameOf<Field> = Field extends { readonly flag: { readonly name: infer Name extends string } }
  ? Name
  : Field extends { readonly flag: object; readonly wire: infer Wire extends string }
    ? Camel<Wire>
    : never;
type TypeOf<Field> = Field extends { readonly type: (...limits: never[]) => infer Type } ? Type : never;

/** The options of a table, by their names. */
export type RequestOptions<Table> = {
  readonly [Name in keyof Table as NameOf<Table[Name]>]: Omit<OptionSpec, 'type' | 'default'> & {
    readonly type: TypeOf<Table[Name]>;
  };
};

/** @returns the name of a field's option; undefined: it has none */
export function optionNameOf({ flag, wire }: Pick<RequestField<never>, 'flag' | 'wire'>): string | undefined {
  return flag === undefined ? undefined : (flag.name ?? camelCase(wire));
}

/** @param commands of a field that is not per job; the others have no `run` and no `serve` */
export function requestOptions<Table extends FieldTable>(
  table: Table,
  commands: readonly CommandName[],
): RequestOptions<Table> {
  const entries = Object.values<FieldTable[string]>(table).flatMap((field) => {
    const name = optionNameOf(field);
    return name === undefined ? [] : [[name, specOf(field, commands)] as const];
  });
  // The names and types are those of the table's records.
  return Object.fromEntries(entries) as unknown as RequestOptions<Table>;
}

function specOf(field: FieldTable[string], commands: readonly CommandName[]): OptionSpec {
  // An operator's default may be more than a document may ask for.
  const type = field.type(NO_LIMITS);
  const { placeholder, environment, short, aliases, isNeverEmpty, isRare, isSetting } = field.flag ?? {};
  return {
    ...(placeholder === undefined ? {} : { placeholder }),
    ...(environment === undefined ? {} : { environment }),
    ...omitUndefined({ short, aliases, isRare }),
    ...(type.verbatim ? { kind: 'text' } : {}),
    ...(type.verbatim && !isNeverEmpty ? { mayBeEmpty: true } : {}),
    type,
    doc: helpOf(field, type),
    allowed: isNeverEmpty ? `${type.allowed} that is not empty` : type.allowed,
    commands: commands.filter((command) => field.perJob !== true || !WORKING.some((one) => one === command)),
    ...(isSetting ? {} : { requestFault: type.code }),
  };
}

function helpOf(field: FieldTable[string], type: FieldType<unknown>): string {
  const fallback = defaultTextOf(field);
  const facts = [...(type.verbatim ? [] : [type.allowed]), ...(fallback === undefined ? [] : [`default: ${fallback}`])];
  return facts.length === 0 ? `${field.help}.` : `${field.help} (${facts.join('; ')}).`;
}

/** @returns undefined for a field that is required */
export function defaultTextOf({ default: fallback, defaultText }: FieldTable[string]): string | undefined {
  if (fallback === 'required') return undefined;
  if (defaultText !== undefined) return defaultText;
  if (fallback === '') return 'none';
  return typeof fallback === 'function' || fallback === null ? 'the model’s' : String(fallback);
}

export const REQUEST_OPTIONS = {
  ...requestOptions(REQUEST_FIELDS, PICTURE),
  ...requestOptions(DOCUMENT_FIELDS, ['enqueue']),
};

/** @returns the options' values for a request, by the names of its fields */
export function requestValues<Table extends FieldTable>(table: Table, config: object): SomeValues<Table> {
  const values: Readonly<Record<string, unknown>> = { ...config };
  const stated = Object.entries<FieldTable[string]>(table).flatMap(([name, field]) => {
    const option = optionNameOf(field);
    const value = option === undefined ? undefined : values[option];
    return value === undefined ? [] : [[name, value] as const];
  });
  // Each option was read by the type of its field.
  return Object.fromEntries(stated) as unknown as SomeValues<Table>;
}
