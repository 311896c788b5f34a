/**
 * The queue's partial indexes. Finished documents are in none of them, so that they cost the queue nothing. A worker makes the indexes at its start;
 * a command that only looks uses those that are there. The queue also works without the right to make them, and when one disappears: it is only
 * slower. An index is only a hint, and we send the hint as long as the server knows the index.
 */
import type { Collection, Document } from 'mongodb';
import type { Logger } from '../../observability/logger.ts';
import { isAboutHint, isUnauthorized, mongoErrorCode, reasonOf } from './mongo-errors.ts';

interface QueueIndex {
  readonly name: string;
  readonly key: Readonly<Record<string, 1 | -1>>;
  readonly partialFilterExpression: Readonly<Record<string, unknown>>;
}

const INDEXES = {
  pending: { name: 'text2img_pending', key: { priority: -1, _id: 1 }, partialFilterExpression: { status: 'pending' } },
  processing: {
    name: 'text2img_processing',
    key: { 'job.lease_until': 1 },
    partialFilterExpression: { status: 'processing' },
  },
  webhooks: {
    name: 'text2img_webhooks',
    key: { 'job.hook_due': 1 },
    partialFilterExpression: { 'job.hook_due': { $exists: true } },
  },
  deadlines: {
    name: 'text2img_deadlines',
    key: { 'job.cancel_at': 1 },
    partialFilterExpression: { 'job.cancel_at': { $exists: true } },
  },
  models: {
    name: 'text2img_models',
    key: { 'job.model': 1, priority: -1, _id: 1 },
    partialFilterExpression: { status: 'pending' },
  },
  turns: {
    name: 'text2img_turns',
    key: { 'job.model': 1, 'job.tenant': 1, priority: -1, _id: 1 },
    partialFilterExpression: { status: 'pending' },
  },
  tenantPending: {
    name: 'text2img_tenant_pending',
    key: { 'job.tenant': 1 },
    partialFilterExpression: { status: 'pending', 'job.tenant': { $exists: true } },
  },
  tenantProcessing: {
    name: 'text2img_tenant_processing',
    key: { 'job.tenant': 1, 'job.lease_until': 1 },
    partialFilterExpression: { status: 'processing', 'job.tenant': { $exists: true } },
  },
  tenantJobs: {
    name: 'text2img_tenant_jobs',
    key: { 'job.tenant': 1, _id: -1 },
    partialFilterExpression: { 'job.tenant': { $exists: true } },
  },
} as const satisfies Record<string, QueueIndex>;

export type IndexUse = keyof typeof INDEXES;

const USES = Object.keys(INDEXES) as readonly IndexUse[];
/** For every worker. */
export const WORK_INDEXES = ['pending', 'processing', 'webhooks'] as const satisfies readonly IndexUse[];
/** For servers whose keys have limits and lists of their own. */
export const TENANT_INDEXES = [
  'tenantPending',
  'tenantProcessing',
  'tenantJobs',
] as const satisfies readonly IndexUse[];

/** `{hint: name}` for an index that is there, else nothing: a hint that names none is an error. */
export type IndexHints = Readonly<Record<IndexUse, { readonly hint?: string }>>;

const NAMESPACE_NOT_FOUND = 26;
/** IndexOptionsConflict, IndexKeySpecsConflict. */
const CONFLICTS: ReadonlySet<unknown> = new Set([85, 86]);
/** The worker makes a lost index again at most this often, and works without it meanwhile. */
const MENDING_PAUSE_MS = 60_000;

export class QueueIndexes {
  /** Always the same object, with what is true now. */
  readonly hints: IndexHints;
  readonly #hints: Record<IndexUse, { hint?: string }>;
  readonly #collection: Collection;
  readonly #logger: Logger;
  readonly #said = new Set<string>();
  /** Those that this process makes. */
  readonly #made = new Set<IndexUse>();
  #mendedMs = -Infinity;

  constructor(collection: Collection, logger: Logger) {
    this.#collection = collection;
    this.#logger = logger;
    this.#hints = Object.fromEntries(USES.map((use) => [use, {}])) as Record<IndexUse, { hint?: string }>;
    this.hints = this.#hints;
  }

  /** Uses those that are there; makes nothing, and never fails: without indexes a look is only slower. */
  async look(): Promise<void> {
    this.#use(await this.#existing().catch(() => []));
  }

  /** May be called by many workers at once. @throws what the server says, other than that it is not allowed */
  async make(uses: readonly IndexUse[]): Promise<void> {
    for (const use of uses) this.#made.add(use);
    const refused = new Map<IndexUse, unknown>();
    for (const use of uses) {
      const { name, key, partialFilterExpression } = INDEXES[use];
      try {
        await this.#collection.createIndex(key, { name, partialFilterExpression });
      } catch (error) {
        if (!CONFLICTS.has(mongoErrorCode(error)) && !isUnauthorized(error)) throw error;
        refused.set(use, error);
      }
    }
    this.#use(await this.#existing());
    for (const use of uses) if (this.#hints[use].hint === undefined) this.#warn(use, refused.get(use));
  }

  /** For `callServer`: after an answer to a hint that names nothing any more. True: the statement may be said again, without it. */
  readonly mends = (error: unknown): boolean => {
    if (!isAboutHint(error)) return false;
    // Another statement met the same a moment before.
    if (USES.every((use) => this.#hints[use].hint === undefined)) return true;
    for (const use of USES) this.#hints[use] = {};
    // Not waited for: over an old, large collection it takes minutes.
    if (performance.now() - this.#mendedMs > MENDING_PAUSE_MS) void this.#mend();
    return true;
  };

  async #mend(): Promise<void> {
    this.#mendedMs = performance.now();
    this.#sayOnce('an index of the queue was removed; the worker makes it again, and works without it meanwhile');
    try {
      if (this.#made.size > 0) await this.make([...this.#made]);
      else await this.look();
    } catch (error) {
      this.#logger.debug('the indexes of the queue could not be made again', { reason: reasonOf(error) });
    }
  }

  /** By what they are, not by their names: an operator may have made one under a name of his own. */
  #use(existing: readonly Document[]): void {
    for (const use of USES) {
      const wanted: QueueIndex = INDEXES[use];
      const found = existing.find(
        ({ key, partialFilterExpression, hidden }) =>
          hidden !== true &&
          JSON.stringify(key) === JSON.stringify(wanted.key) &&
          JSON.stringify(partialFilterExpression) === JSON.stringify(wanted.partialFilterExpression),
      );
      this.#hints[use] = found === undefined ? {} : { hint: String(found['name']) };
    }
  }

  async #existing(): Promise<readonly Document[]> {
    try {
      return await this.#collection.listIndexes().toArray();
    } catch (error) {
      if (mongoErrorCode(error) === NAMESPACE_NOT_FOUND || isUnauthorized(error)) return [];
      throw error;
    }
  }

  #warn(use: IndexUse, refusal: unknown): void {
    const { name, key, partialFilterExpression } = INDEXES[use];
    this.#sayOnce('an index of the queue cannot be used; claiming will be slow in a large collection', {
      index: name,
      key: JSON.stringify(key),
      partial: JSON.stringify(partialFilterExpression),
      reason: refusal === undefined ? 'it is hidden, or may not be listed' : reasonOf(refusal),
    });
  }

  #sayOnce(message: string, fields: { readonly index?: string } & Readonly<Record<string, string>> = {}): void {
    const key = `${message} ${fields.index ?? ''}`;
    if (!this.#said.has(key)) this.#logger.warning(message, fields);
    this.#said.add(key);
  }
}
