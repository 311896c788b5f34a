/**
 * The queue's partial indexes, made at the start. Finished documents are in none of them, so that they cost the queue nothing. Without the
 * right to make them the queue works all the same, only slower.
 */
import type { Collection, CreateIndexesOptions, Document } from 'mongodb';
import type { Logger } from '../../observability/logger.ts';
import { isUnauthorized, mongoErrorCode, withoutPassword } from './mongo-errors.ts';
import type { PromptRecord } from './prompt-record.ts';

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
} as const satisfies Record<string, QueueIndex>;

/** `{hint: name}` for an index that is there, else nothing: a hint that names none is an error. One of the driver's types knows no names. */
export type IndexHints = Readonly<Record<keyof typeof INDEXES, { readonly hint?: Document }>>;

const INDEX_OPTIONS_CONFLICT = 85;
const INDEX_KEY_SPECS_CONFLICT = 86;

/** May be called by many workers at once. @throws what the server says, other than that it is not allowed */
export async function ensureIndexes(collection: Collection<PromptRecord>, logger: Logger): Promise<IndexHints> {
  const hints: Record<string, { hint?: string }> = {};
  for (const [use, index] of Object.entries(INDEXES) as [keyof typeof INDEXES, QueueIndex][]) {
    const name = await ensureIndex(collection, index, logger);
    hints[use] = name === undefined ? {} : { hint: name };
  }
  return hints as unknown as IndexHints;
}

async function ensureIndex(
  collection: Collection<PromptRecord>,
  index: QueueIndex,
  logger: Logger,
): Promise<string | undefined> {
  const { name, key, partialFilterExpression } = index;
  const options: CreateIndexesOptions = { name, partialFilterExpression };
  try {
    return await collection.createIndex(key, options);
  } catch (error) {
    const isConflict = [INDEX_OPTIONS_CONFLICT, INDEX_KEY_SPECS_CONFLICT].includes(mongoErrorCode(error) as number);
    if (!isConflict && !isUnauthorized(error)) throw error;
    const existing = await findIndex(collection, index);
    if (existing === undefined) {
      logger.warning('an index of the queue cannot be made; claiming will be slow in a large collection', {
        index: name,
        key: JSON.stringify(key),
        partial: JSON.stringify(partialFilterExpression),
        reason: withoutPassword((error as Error).message),
      });
    }
    return existing;
  }
}

/** The same index under whatever name. */
async function findIndex(collection: Collection<PromptRecord>, wanted: QueueIndex): Promise<string | undefined> {
  const indexes = await collection
    .listIndexes()
    .toArray()
    .catch(() => []);
  const found = indexes.find(
    ({ key, partialFilterExpression }) =>
      JSON.stringify(key) === JSON.stringify(wanted.key) &&
      JSON.stringify(partialFilterExpression) === JSON.stringify(wanted.partialFilterExpression),
  );
  return found?.['name'] as string | undefined;
}
