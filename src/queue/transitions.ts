/**
 * Decisions that both queues share: the states that an operator may change, the sentences that end a job, new tokens and run ids. They also say what
 * a claim is, and which webhooks are kept. Each queue writes this down in its own language.
 */
import { randomBytes } from 'node:crypto';
import { MAX_FIELD_NAME_BYTES, MAX_FIELD_NAMES } from '../job/foreign-fields.ts';
import { canonicalEjsonOf, type DocumentId } from '../job/document-id.ts';
import { cut, excerpt, quote } from '../lib/foreign-text.ts';
import type { ClaimedPrompt, FailureRecord, JobStatus, PromptIdentity, TransitionOutcome } from './prompt-queue.ts';
import type { DeliveryOutcome } from './webhook-outbox.ts';

/** `cancel` ends a job in an open state, and `retry` begins an ended one anew. */
export const OPEN_STATUSES = ['pending', 'processing'] as const satisfies readonly JobStatus[];
export const ENDED_STATUSES = ['completed', 'error'] as const satisfies readonly JobStatus[];

/** So many delivered webhooks of a job are kept, so that operators can list them. */
export const KEPT_DELIVERED = 5;
const MAX_HOOK_ERROR_LENGTH = 500;
/** `drainState` counts so many documents for other models. */
export const MOST_OTHERS = 10_000;
/** The most that `stuck` tells; a queue with more has one cause. */
export const MAX_STUCK_TOLD = 20;

/** @param message default: an operator did it */
export function cancelled(message = 'the job was cancelled by an operator.'): FailureRecord {
  return { code: 'cancelled', message };
}

/** Its request gave it so much time. */
export const OVERDUE = cancelled('it had not ended by the time that its request set.');

export function isEnded(status: string): boolean {
  return ENDED_STATUSES.some((ended) => ended === status);
}

export function attemptsExhausted(maxAttempts: number): FailureRecord {
  return { code: 'attempts_exhausted', message: `all ${maxAttempts} attempts crashed or timed out.` };
}

/** Processing, but no worker can claim it. @param id as it is shown */
export function stuckSentence(id: string): string {
  return `${id} is processing without a lease of a worker: "text2img jobs retry --force ID" makes it pending again`;
}

/** The labels that decide who generates a document, and when. */
export type Label = 'model' | 'tenant';

/** Another program wrote something else than a text there. @param type as BSON calls it */
export function oddLabel(label: Label, type: string): FailureRecord {
  return { code: 'invalid_document', message: `"job.${label}" is of type ${type}; allowed are a text or nothing.` };
}

const SHOWN_ID_LENGTH = 100;

/** Pending, but for no living worker. @param id as it is shown @param model null: it names none; undefined: with something else than a text */
export function unservedSentence(id: string, model: string | null | undefined): string {
  const shown = excerpt(id, SHOWN_ID_LENGTH);
  if (model === undefined) return `${shown} has something else than a text in "job.model"`;
  if (model === null) return `${shown} names no model, and no living worker generates such prompts`;
  return `${shown} is for the model ${quote(model)}, which no living worker has`;
}

/** A statement under a token that matched nothing has lost the document. */
export function outcomeOf(isDone: boolean): TransitionOutcome {
  return isDone ? 'done' : 'lost';
}

/** Proves whose claim it is. Also the token of a document that waits, which is nobody's claim. */
export function newToken(): string {
  return randomBytes(16).toString('hex');
}

/** 32 hexadecimal digits: it becomes part of names and seeds. */
export function newRunId(): string {
  return randomBytes(16).toString('hex');
}

export interface QueuePlace {
  readonly database: string;
  readonly collection: string;
}

/** Which document anywhere this is: canonical EJSON of `{database, collection, _id}`. */
export function docKeyOf({ database, collection }: QueuePlace, id: DocumentId): string {
  return `${JSON.stringify({ database, collection }).slice(0, -1)},"_id":${canonicalEjsonOf(id)}}`;
}

/** @param objectName the value in the document under the name that `nameObject` writes */
export function identityOf(place: QueuePlace, id: DocumentId, objectName: unknown): PromptIdentity {
  return { id, docKey: docKeyOf(place, id), ...(typeof objectName === 'string' ? { objectName } : {}) };
}

/** The values that a claim has written, as they lie in the document now. */
export interface ClaimFacts extends Pick<ClaimedPrompt, 'token' | 'document'> {
  /** The names of the document's fields, as they lie there. */
  readonly fieldNames: unknown;
  readonly runId: unknown;
  readonly attempts: unknown;
  readonly previousDied: boolean;
  /** The label. */
  readonly model: unknown;
}

/** Short names, and not too many: values are never looked at. */
function fieldNamesOf(names: unknown): readonly string[] {
  if (!Array.isArray(names)) return [];
  return names
    .filter((name): name is string => typeof name === 'string' && name.length <= MAX_FIELD_NAME_BYTES)
    .slice(0, MAX_FIELD_NAMES);
}

export function claimOf(
  identity: PromptIdentity,
  { token, document, fieldNames, runId, attempts, previousDied, model }: ClaimFacts,
): ClaimedPrompt {
  return {
    ...identity,
    token,
    runId: String(runId),
    attempt: Number(attempts),
    previousAttemptDied: previousDied,
    ...(typeof model === 'string' ? { model } : {}),
    document,
    // Those that are read come first, so that the bound never takes one of them.
    fieldNames: [...new Set([...Object.keys(document), ...fieldNamesOf(fieldNames)])],
  };
}

/** How many attempts of a webhook such an outcome counts. */
export function attemptsOfTry({ kind }: DeliveryOutcome): 0 | 1 {
  return kind === 'postpone' ? 0 : 1;
}

/** The part that is kept of the reason why a webhook was not delivered. */
export function shownError(error: string): string {
  return cut(error, MAX_HOOK_ERROR_LENGTH);
}
