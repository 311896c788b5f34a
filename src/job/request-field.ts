/**
 * The record of a request field. Everything that handles requests takes a table of these records: documents, queues, flags, the engine's protocol,
 * PNGs, batches and the page docs/requests.md. `request-fields.ts` holds the table.
 */
import type { ModelFacts } from './model-facts.ts';
import type { FieldType } from './field-types.ts';
import type { PromptLimits } from './limits.ts';

/** The values that a default may depend on. */
interface ResolveContext {
  readonly model: ModelFacts;
  /** For a request without one. */
  readonly seed: number;
}

interface FieldFlag {
  /** The option's name where it is not the field's name in documents: `prompt`. */
  readonly name?: string;
  /** `<n>` */
  readonly placeholder: string;
  /** One dash and a letter: `-s`. */
  readonly short?: string;
  /** Flags that users of other tools know it by. */
  readonly aliases?: readonly string[];
  /** A text that a document may leave empty, but that nobody types empty on purpose. */
  readonly isNeverEmpty?: true;
  /** The help lists it below the others. */
  readonly isRare?: true;
  /** About how images are generated, not what they show: a bad value is the command's fault (exit code 2), not the request's. */
  readonly isSetting?: true;
  /** The variable where it is not `TEXT2IMG_<NAME>`. */
  readonly environment?: string;
}

/** A value as it lies in a request, in a document and in `job.parameters`. */
export type FieldValue = string | number | boolean | readonly FieldValue[];

export interface RequestField<T extends FieldValue> {
  /** Its name in documents, as diffusers calls it: `num_inference_steps`. */
  readonly wire: string;
  /** For `--help` and docs/requests.md: one sentence without its full stop. Range and default are added to it. */
  readonly help: string;
  readonly type: (limits: PromptLimits) => FieldType<T>;
  /** Of a request that leaves it out, when the operator gives none either. null: it stays without a value. */
  readonly default: T | ((context: ResolveContext) => T) | 'required' | null;
  /** The text of help and docs for a default that is computed. */
  readonly defaultText?: string;
  /** Belongs to one job: `run` takes no default for it. */
  readonly perJob?: true;
  /** Not repeated in `job.parameters`, because it stands in the document anyway. */
  readonly writtenBack?: false;
  readonly flag?: FieldFlag;
  /** Its name in a PNG's `parameters` text. Names that join several fields (`Size`) are known in `image/`. */
  readonly png?: string;
  /** Images whose keys differ share no pass of the network; absent: each image keeps its own value in a shared pass. */
  batchKey?(value: T): string | number | boolean;
}

/** From a field's name in the code to its record. Their order is that of flags, columns and keys. */
export type FieldTable = Readonly<Record<string, RequestField<FieldValue>>>;

/** Checks a record and keeps the types of its literals. */
export function field<T extends FieldValue>() {
  return <const Field extends RequestField<T>>(record: Field): Field => record;
}

type ValueOf<Field> = Field extends { readonly type: (limits: PromptLimits) => FieldType<infer T> } ? T : never;
type Required<Table> = {
  [Name in keyof Table]: Table[Name] extends { readonly default: 'required' } ? Name : never;
}[keyof Table];
type PerJob<Table> = {
  [Name in keyof Table]: Table[Name] extends { readonly perJob: true } ? Name : never;
}[keyof Table];

type NullOf<Field> = Field extends { readonly default: null } ? null : never;

/** A request with every value decided. */
export type Resolved<Table> = { readonly [Name in keyof Table]: ValueOf<Table[Name]> | NullOf<Table[Name]> };
/** A request as far as somebody stated it. */
export type Stated<Table> = { readonly [Name in Required<Table>]: ValueOf<Table[Name]> } & {
  readonly [Name in Exclude<keyof Table, Required<Table>>]?: ValueOf<Table[Name]>;
};
/** Some values of a request, from wherever. */
export type SomeValues<Table> = { readonly [Name in keyof Table]?: ValueOf<Table[Name]> };
/** Values that an operator may state for requests that leave them out. */
export type Defaults<Table> = { readonly [Name in Exclude<keyof Table, PerJob<Table>>]?: ValueOf<Table[Name]> };
