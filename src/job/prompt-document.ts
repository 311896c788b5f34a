/**
 * The prompt document: what a user writes into the queue, in the wire's names, and what it asks of the model. The one place where the two
 * are translated, by the table of fields.
 */
import { own } from '../lib/foreign-record.ts';
import { countByHand, withoutDisplaced } from './alternatives.ts';
import type { FieldType } from './field-types.ts';
import type { ResolvedGenerationRequest } from './generation-request.ts';
import { NO_LIMITS, type PromptLimits } from './limits.ts';
import type { ModelFacts } from './model-facts.ts';
import type { FieldTable, FieldValue, Resolved, Stated } from './request-field.ts';
import { DOCUMENT_FIELDS, REQUEST_FIELDS } from './request-fields.ts';
import { checkStated } from './request-rules.ts';

type Document = Readonly<Record<string, unknown>>;

interface ParsedDocument<Table extends FieldTable> {
  readonly request: Stated<Table>;
  /** Higher is generated first. */
  readonly priority: number;
  /** Not checked yet: `webhook/url-guard.ts` does that. */
  readonly callbackUrl: string | undefined;
}

interface DocumentCodec<Table extends FieldTable> {
  /** The fields of a document that the service reads. All others are the user's own and stay as they are. */
  readonly names: readonly string[];
  /** Only the fields that the service reads, where the document itself has them. */
  readonly project: (document: Document) => Document;
  /**
   * Fields that are not ours are left alone. One of our fields that is null counts as absent.
   * @throws `invalid_prompt`, `prompt_too_large`, `invalid_parameter`, `unknown_scheduler`
   */
  readonly parse: (document: Document, limits: PromptLimits) => ParsedDocument<Table>;
  /** The values that the model was given, in the wire's names. */
  readonly used: (request: Resolved<Table>, model: Pick<ModelFacts, 'fields'>) => Readonly<Record<string, FieldValue>>;
}

/** Reads and writes documents with the fields of `table`. */
export function documentCodec<Table extends FieldTable>(table: Table): DocumentCodec<Table> {
  const fields = Object.entries<FieldTable[string]>(table);
  const names = [...fields.map(([, { wire }]) => wire), ...Object.values(DOCUMENT_FIELDS).map(({ wire }) => wire)];
  return {
    names,
    project(document) {
      const named = names.filter((name) => Object.hasOwn(document, name));
      return Object.fromEntries(named.map((name) => [name, document[name]]));
    },
    parse(document, limits) {
      const values = fields.map(([name, { wire, type, default: fallback }]) => {
        const value = read(document, wire, type(limits));
        if (value === undefined && fallback === 'required') throw type(limits).refuse(wire, own(document, wire));
        return [name, value] as const;
      });
      const request = Object.fromEntries(values.filter(([, value]) => value !== undefined));
      const { priority, callbackUrl } = DOCUMENT_FIELDS;
      const parsed = {
        // Each value was read by the type of its field.
        request: request as unknown as Stated<Table>,
        priority: read(document, priority.wire, priority.type()) ?? priority.default,
        callbackUrl: read(document, callbackUrl.wire, callbackUrl.type()),
      };
      checkStated(request, limits);
      return parsed;
    },
    used(request, model) {
      const displaced = countByHand(request) === undefined ? [] : ['numInferenceSteps'];
      const written = fields.filter(
        ([name, { writtenBack }]) => writtenBack !== false && model.fields.includes(name) && !displaced.includes(name),
      );
      return toDocument(Object.fromEntries(written), request);
    },
  };
}

/** @returns the values in the wire's names; what has no value, or one that counts as none, is left out */
export function toDocument(table: FieldTable, values: object): Readonly<Record<string, FieldValue>> {
  const byName: Readonly<Record<string, FieldValue | null | undefined>> = { ...values };
  return Object.fromEntries(
    Object.entries(table).flatMap(([name, { wire, type }]) => {
      const value = byName[name] ?? undefined;
      return value === undefined || value === type(NO_LIMITS).absent ? [] : [[wire, value]];
    }),
  );
}

/** @returns the fields that the document or the operator gave a value, by their names in the code */
export function askedFields(document: Document, defaults: object): ReadonlySet<string> {
  const byOperator = Object.entries(defaults).filter(([, value]) => value !== undefined);
  const byDocument = Object.entries(REQUEST_FIELDS).filter(
    ([, { wire }]) => (own(document, wire) ?? undefined) !== undefined,
  );
  return new Set([...byOperator, ...byDocument].map(([name]) => name));
}

/** A document whose fields stand before those of another one, which gives way. @param defaults in the wire's names */
export function withDefaultFields(document: Document, defaults: Document): Document {
  const names = Object.entries(REQUEST_FIELDS).map(([name, { wire }]): [string, string] => [wire, name]);
  const byWire = new Map(names);
  const named = (fields: Document): Document =>
    Object.fromEntries(Object.entries(fields).map(([wire, value]) => [byWire.get(wire) ?? wire, value]));
  const left = withoutDisplaced(named(defaults), named(document));
  return {
    ...Object.fromEntries(Object.entries(defaults).filter(([wire]) => Object.hasOwn(left, byWire.get(wire) ?? wire))),
    ...document,
  };
}

function read<T>(document: Document, name: string, type: FieldType<T>): T | undefined {
  const stated = own(document, name) ?? undefined;
  if (stated === undefined || stated === type.absent) return undefined;
  const value = type.parse(stated);
  if (value === undefined) throw type.refuse(name, stated);
  return value;
}

const codec = documentCodec(REQUEST_FIELDS);

export const PROMPT_FIELDS = codec.names;
export const promptFieldsOf = codec.project;
export const parsePromptDocument = codec.parse;

type UsedModel = Pick<ModelFacts, 'fields' | 'modelName' | 'modelHash'>;

/** The settings and the model of an image, in the wire's names: becomes `job.parameters`. The hash is left out while nobody knows it. */
export function usedParameters(
  request: ResolvedGenerationRequest,
  model: UsedModel,
): Readonly<Record<string, FieldValue>> {
  const { modelName, modelHash } = model;
  return {
    ...codec.used(request, model),
    model: modelName,
    ...(modelHash === null ? {} : { model_hash: modelHash }),
  };
}
