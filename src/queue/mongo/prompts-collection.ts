/** The context of every statement: the collection, who we are, and how its calls are repeated. */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import type { DocumentId } from '../../job/document-id.ts';
import type { Logger } from '../../observability/logger.ts';
import { bsonIdOf } from './bson-ids.ts';
import type { PromptFilter } from './statement-types.ts';
import type { Walk, WalkedCollection } from './walk.ts';
import type { WebhookKeys } from './webhook-keys.ts';

export interface PromptsCollection extends WalkedCollection {
  readonly database: string;
  readonly leaseMs: number;
  readonly maxAttempts: number;
  readonly owner: string;
  readonly logger: Logger;
  /** The keys that prove that a webhook in a document is the service's own. */
  readonly webhookKeys: WebhookKeys;
  readonly walks: Walks;
  /** The documents that are claimed: of some models, or all. */
  readonly scope: PromptFilter;
  /** The same as values of `job.model`; empty where all are claimed. */
  readonly models: readonly (string | null)[];
  /** Aborted: no statement is waited for any longer. */
  readonly signal?: AbortSignal | undefined;
}

/** The documents that this worker passes over, and how far it has come. */
export interface Walks {
  readonly pending: Walk;
  /** Processing, the lease over, attempts left. */
  readonly ended: Walk;
  /** The same with a lease that nobody writes. */
  readonly far: Walk;
  /** Processing, the lease of the last attempt over. */
  readonly dead: Walk;
}

/** Whose claim: the filter of every statement after the claim (invariant 1). */
export interface ClaimKey {
  readonly id: DocumentId;
  readonly token: string;
}

export function ownedBy({ id, token }: ClaimKey): PromptFilter {
  return { ...byId(bsonIdOf(id)), status: 'processing', 'job.token': token };
}

/** `$eq`, so that a sub-document as `_id` is never read as operators. */
export function byId(id: unknown): PromptFilter {
  return { _id: { $eq: id } };
}

export const MAJORITY = { readConcern: { level: 'majority' } } as const;

/**
 * For a write that matched nothing: an earlier attempt may have done it, and its answer was lost. If the status is `ended` under this token, it is
 * done. If a majority still shows our claim, the result is not decided yet and `run` repeats. Otherwise the claim is lost.
 * @throws `queue_failed` to be repeated by `run`
 */
export async function hasEnded(
  { collection }: PromptsCollection,
  { id, token }: ClaimKey,
  ended: 'completed' | 'error',
): Promise<boolean> {
  const filter: PromptFilter = { ...byId(bsonIdOf(id)), 'job.token': token };
  const found = await collection.findOne(filter, { projection: { status: 1 }, ...MAJORITY });
  if (found?.['status'] === 'processing')
    throw new Text2ImgError('queue_failed', 'it is not known yet whether a write succeeded.');
  return found?.['status'] === ended;
}
