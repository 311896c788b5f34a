/** List, show, count: what operators see. */
import { type Document, Long, ObjectId } from 'mongodb';
import { promptIdText } from '../../job/document-id.ts';
import type { JobStatus, JobSummary, QueueCounts } from '../prompt-queue.ts';
import { documentIdOf } from './bson-ids.ts';
import { ANY_DATE } from './expressions.ts';
import type { PromptsCollection } from './prompts-collection.ts';

const FIELDS = {
  text: 1,
  status: 1,
  priority: 1,
  image_url: 1,
  image_urls: 1,
  seed: 1,
  error: 1,
  completed_at: 1,
  error_at: 1,
  'job.attempts': 1,
  'job.progress': 1,
  'job.owner': 1,
  'job.lease_until': 1,
  'job.parameters': 1,
  'job.warnings': 1,
} as const;

const STATUSES = ['pending', 'processing', 'completed', 'error'] as const;

/** Newest first, by `_id`. */
export async function list(
  prompts: PromptsCollection,
  { status, limit }: { readonly status?: JobStatus; readonly limit: number },
): Promise<readonly JobSummary[]> {
  const filter = { status: status ?? { $in: STATUSES } };
  const options = { projection: FIELDS, sort: { _id: -1 } as const, limit };
  return (await prompts.run(() => prompts.collection.find(filter as never, options).toArray())).map(toSummary);
}

export async function show(
  prompts: PromptsCollection,
  ids: readonly unknown[],
): Promise<{ readonly id: unknown; readonly summary: JobSummary } | undefined> {
  for (const id of ids) {
    const found = await prompts.run(() =>
      prompts.collection.findOne({ _id: { $eq: id } } as never, { projection: FIELDS }),
    );
    if (found !== null) return { id: found._id, summary: toSummary(found) };
  }
  return undefined;
}

export async function counts(prompts: PromptsCollection): Promise<QueueCounts> {
  const { collection, hints } = prompts;
  const count = (filter: Document, options = {}): Promise<number> =>
    prompts.run(() => collection.countDocuments(filter as never, options));
  const [pending, all, processing, completed, error] = await Promise.all([
    count({ status: 'pending' }, hints.pending),
    count({ status: 'processing' }, hints.processing),
    count({ status: 'processing', 'job.lease_until': ANY_DATE }, hints.processing),
    count({ status: 'completed' }),
    count({ status: 'error' }),
  ]);
  return { pending, processing, stuck: all - processing, completed, error };
}

function toSummary(document: Document): JobSummary {
  const id: unknown = document['_id'];
  const job = asRecord(document['job']);
  const { text, image_url: imageUrl, image_urls: imageUrls, seed } = document;
  const progress = asRecord(job['progress']);
  const urls = Array.isArray(imageUrls) ? imageUrls : imageUrl === undefined ? undefined : [imageUrl];
  const summary: Record<string, unknown> = {
    id: promptIdText(documentIdOf(id)),
    status: document['status'],
    text: typeof text === 'string' ? text : (JSON.stringify(text) ?? ''),
    priority: typeof document['priority'] === 'number' ? document['priority'] : 0,
    attempts: numberOf(job['attempts']) ?? 0,
    progress: progress['steps'] === undefined ? undefined : progress,
    owner: job['owner'],
    leaseUntil: dateOf(job['lease_until']),
    imageUrls: urls?.map(String),
    seed: document['status'] === 'completed' ? numberOf(seed) : undefined,
    parameters: job['parameters'],
    warnings: job['warnings'],
    error: document['error'],
    enqueuedAt: id instanceof ObjectId ? id.getTimestamp() : undefined,
    finishedAt: dateOf(document['completed_at']) ?? dateOf(document['error_at']),
  };
  return Object.fromEntries(
    Object.entries(summary).filter(([, value]) => value !== undefined),
  ) as unknown as JobSummary;
}

function asRecord(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function numberOf(value: unknown): number | undefined {
  if (value instanceof Long) return value.toNumber();
  return typeof value === 'number' ? value : undefined;
}

function dateOf(value: unknown): Date | undefined {
  return value instanceof Date ? value : undefined;
}
