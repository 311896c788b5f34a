/**
 * The types of filters, updates and expressions over the document fields that the queue knows. A name that is not
 * listed here is a type error wherever it is used.
 */
import type { Long } from 'mongodb';
import type { JobStatus } from '../prompt-queue.ts';
import type { WebhookState } from '../webhook-outbox.ts';

type JobField =
  | 'attempts'
  | 'awaits_retry'
  | 'cancel_at'
  | 'door'
  | 'enqueue_id'
  | 'hook_due'
  | 'hooks'
  | 'hooks.0'
  | 'hooks.state'
  | 'last_error'
  | 'lease_until'
  | 'leased_at'
  | 'model'
  | 'object_name'
  | 'owner'
  | 'parameters'
  | 'previous_died'
  | 'progress'
  | 'resume'
  | 'run_id'
  | 'tenant'
  | 'text2img_list'
  | 'token'
  | 'warnings'
  | 'worker';

export type PromptPath =
  | '_id'
  | 'completed_at'
  | 'error'
  | 'error_at'
  | 'image_url'
  | 'image_urls'
  | 'job'
  | `job.${JobField}`
  | 'priority'
  | 'seed'
  | 'status'
  | 'text';

/** A webhook in `job.hooks`. */
type HookField =
  | 'attempts'
  | 'body'
  | 'body_parts'
  | 'body_repeats'
  | 'delivered_at'
  | 'due'
  | 'error'
  | 'id'
  | 'proof'
  | 'state'
  | 'token'
  | 'url';

interface Comparison {
  readonly $elemMatch?: HookFilter;
  readonly $eq?: unknown;
  readonly $exists?: boolean;
  readonly $gt?: unknown;
  readonly $gte?: unknown;
  readonly $in?: readonly unknown[];
  readonly $lt?: unknown;
  readonly $lte?: unknown;
  readonly $nin?: readonly unknown[];
  readonly $regex?: RegExp;
  readonly $type?: TypeName;
}

type Condition = Comparison | Date | boolean | number | string | readonly [] | null;

/** One element of `job.hooks`. */
export type HookFilter = { readonly [Name in HookField]?: unknown } & { readonly $or?: readonly HookFilter[] };

export type PromptFilter = { readonly [Path in PromptPath]?: Condition } & {
  readonly $and?: readonly PromptFilter[];
  readonly $expr?: Expression;
  readonly $nor?: readonly PromptFilter[];
  readonly $or?: readonly PromptFilter[];
};

/** The fields that a stage sets. */
export type PromptFields = { readonly [Path in PromptPath]?: Expression };

export type UpdateStage = { readonly $set: PromptFields } | { readonly $unset: readonly PromptPath[] };

/** A pipeline, so that times are the server's. */
export type PromptUpdate = readonly UpdateStage[];

/** Names of what a projection computes. */
type ComputedField =
  | 'age_ms'
  | 'attempts'
  | 'count'
  | 'due'
  | 'ended_ms_ago'
  | 'field_names'
  | 'hooks'
  | 'is_ours'
  | 'is_over'
  | 'is_too_large'
  | 'job_type'
  | 'lease_until'
  | 'model'
  | 'model_type'
  | 'run_id'
  | 'tenant_type'
  | 'wait_ms';

export type PromptProjection = { readonly [Path in PromptPath]?: 1 } & {
  readonly [Name in ComputedField]?: Expression;
};

/** The fields of the request, which their own table names. */
export function including(requestFields: readonly string[]): PromptProjection {
  return Object.fromEntries(requestFields.map((field) => [field, 1 as const]));
}

export type PromptSort = { readonly [Path in PromptPath]?: -1 | 1 };

/** The validator that the collection's operator wrote, as the server gives it. */
export interface CollectionValidator {
  readonly [name: string]: unknown;
}

/** A stage of an aggregation. */
export type Stage =
  | UpdateStage
  | { readonly $group: { readonly _id: null; readonly count: Expression } }
  | { readonly $limit: number }
  | { readonly $match: PromptFilter }
  | { readonly $match: { readonly $nor: readonly [CollectionValidator] } }
  | { readonly $project: PromptProjection };

type TypeName =
  | 'array'
  | 'binData'
  | 'bool'
  | 'date'
  | 'dbPointer'
  | 'double'
  | 'int'
  | 'javascript'
  | 'javascriptWithScope'
  | 'long'
  | 'maxKey'
  | 'minKey'
  | 'missing'
  | 'null'
  | 'number'
  | 'object'
  | 'objectId'
  | 'regex'
  | 'string'
  | 'symbol'
  | 'timestamp'
  | 'undefined';

type Variable = '$$NOW' | '$$REMOVE' | '$$ROOT' | '$$field' | '$$field.k' | '$$hook' | `$$hook.${HookField}` | '$$next';

type Operator =
  | '$add'
  | '$and'
  | '$bsonSize'
  | '$concatArrays'
  | '$cond'
  | '$eq'
  | '$filter'
  | '$gt'
  | '$gte'
  | '$ifNull'
  | '$in'
  | '$isArray'
  | '$isNumber'
  | '$let'
  | '$lt'
  | '$lte'
  | '$map'
  | '$max'
  | '$mergeObjects'
  | '$min'
  | '$ne'
  | '$not'
  | '$objectToArray'
  | '$or'
  | '$size'
  | '$slice'
  | '$strLenBytes'
  | '$substrCP'
  | '$subtract'
  | '$sum'
  | '$toDate'
  | '$toInt'
  | '$trunc'
  | '$type';

/** Arguments of operators that name them, and fields of sub-documents that expressions make. */
type Name = HookField | 'cond' | 'in' | 'input' | 'next' | 'replaced' | 'step' | 'steps' | 'text2img_list' | 'vars';

/** `as` names a variable, `chars` is a text: neither is a path. */
type NamedExpressions = { readonly [Key in Name | Operator]?: Expression } & {
  readonly $trim?: { readonly input: Expression; readonly chars: string };
  readonly as?: 'field' | 'hook';
};

/** A value that is never read as a field path, however it begins. */
export interface Literal<T = unknown> {
  readonly $literal: T;
}

/** Texts are paths, variables, and the words that stand for themselves; all others are literals. */
export type Expression =
  | Date
  | JobStatus
  | Literal
  | Long
  | NamedExpressions
  | TypeName
  | Variable
  | WebhookState
  | `$${ComputedField | PromptPath}`
  | boolean
  | ''
  | number
  | readonly Expression[]
  | null;
