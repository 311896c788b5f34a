/** List, show, count: what operators see. */
import { Long, ObjectId } from 'mongodb';
import { canonicalEjsonOf, promptIdText } from '../../job/document-id.ts';
import { PROMPT_FIELDS, promptFieldsOf } from '../../job/prompt-document.ts';
import { isRecord, own } from '../../lib/foreign-record.ts';
import { dateOf, jobSummary } from '../job-record.ts';
import { LARGEST_PAGE } from '../list-cursor.ts';
import type {
  FollowedJob,
  JobSummary,
  ListedJob,
  ListedPage,
  ListOptions,
  PageOptions,
  QueueCounts,
} from '../prompt-queue.ts';
import { isEnded } from '../transitions.ts';
import { documentIdOf, idsOfText } from './bson-ids.ts';
import { LEASE_IS_OURS } from './expressions.ts';
import { cursorOfPlace, FRONT, filterBehind, type ListPlace, placeBehind, placeOfCursor, upTo } from './list-place.ts';
import { MAJORITY, type PromptsCollection } from './prompts-collection.ts';
import { including, type PromptFilter } from './statement-types.ts';
import type { StoredDocument } from './statements.ts';
import { countStuck } from './stuck.ts';

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
  'job.awaits_retry': 1,
  'job.last_error': 1,
  'job.leased_at': 1,
  'job.worker': 1,
  'job.model': 1,
  'job.tenant': 1,
  'job.door': 1,
  ...including(PROMPT_FIELDS),
} as const;

const STATUSES = ['pending', 'processing', 'completed', 'error'] as const;

/** In the order of `_id`, the largest first. */
export async function list(prompts: PromptsCollection, options: ListOptions): Promise<readonly ListedJob[]> {
  return listFrom(prompts, options, { place: startOf(options) });
}

/** The documents of a page that is looked for first; doubled each time. Few documents are read in vain, and no statement takes long. */
const WINDOW = { first: 1000, most: 32_000 } as const;

/** The rare ones are looked for window by window, so that it is always known how far the look has come. */
export async function listPage(prompts: PromptsCollection, options: PageOptions): Promise<ListedPage> {
  const startedMs = performance.now();
  const most = Math.min(options.limit, LARGEST_PAGE);
  const { status, model, tenant } = options;
  const isRare = status !== undefined || model !== undefined || tenant === null;
  const jobs: ListedJob[] = [];
  let place = startOf(options);
  for (let size: number = WINDOW.first; ; size = Math.min(WINDOW.most, size * 2)) {
    const end = isRare ? await endOfWindow(prompts, options, { place, size }) : undefined;
    jobs.push(...(await listFrom(prompts, { ...options, limit: most - jobs.length }, { place, end })));
    if (jobs.length >= most) return { jobs, next: jobs.at(-1)?.cursor };
    if (end === undefined) return { jobs, next: undefined };
    place = end;
    if (performance.now() - startedMs >= options.withinMs) return { jobs, next: cursorOfPlace(place) };
  }
}

function startOf({ after }: ListOptions): ListPlace {
  return after === undefined ? FRONT : placeOfCursor(after);
}

/** The place of the last document of a window; undefined: the window is the rest. */
async function endOfWindow(
  prompts: PromptsCollection,
  options: ListOptions,
  { place, size }: { readonly place: ListPlace; readonly size: number },
): Promise<ListPlace | undefined> {
  const range = rangeOf(prompts, options);
  const page = { projection: { _id: 1 }, sort: { _id: -1 }, limit: 1 } as const;
  const filter: PromptFilter = { ...range.filter, ...filterBehind(place) };
  const [last] = await prompts.run(() =>
    prompts.collection
      .find(filter, { ...page, skip: place.skip + size - 1, ...prompts.bounds, ...range.hint() })
      .toArray(),
  );
  const end = last === undefined ? undefined : placeBehind(last._id, FRONT);
  // An `_id` that does not survive JavaScript ends no window.
  return end?.behind === undefined ? undefined : end;
}

/** The documents of a tenant lie together in an index, all others in that of `_id`. */
function rangeOf(
  { hints }: PromptsCollection,
  { tenant }: ListOptions,
): { readonly filter: PromptFilter; readonly hint: () => { readonly hint?: string } } {
  return typeof tenant === 'string'
    ? { filter: { 'job.tenant': { $eq: tenant } }, hint: () => hints.tenantJobs }
    : { filter: {}, hint: () => ({}) };
}

async function listFrom(
  prompts: PromptsCollection,
  { status, limit, tenant, model }: ListOptions,
  { place: start, end }: { readonly place: ListPlace; readonly end?: ListPlace | undefined },
): Promise<readonly ListedJob[]> {
  const range = rangeOf(prompts, { limit, tenant });
  const filter: PromptFilter = {
    status: status ?? { $in: STATUSES },
    ...(tenant === undefined ? {} : { 'job.tenant': { $eq: tenant } }),
    ...(model === undefined ? {} : { 'job.model': { $eq: model } }),
    $and: [filterBehind(start), ...(end === undefined ? [] : [upTo(end)])],
  };
  const page = { skip: start.skip, limit: Math.min(limit, LARGEST_PAGE) };
  const options = { projection: FIELDS, sort: { _id: -1 }, ...page } as const;
  return prompts.run(async () => {
    const found: ListedJob[] = [];
    let place = start;
    // One after the other: a document may have 16 MB, of which little is shown.
    for await (const document of prompts.collection.find(filter, { ...options, ...range.hint() })) {
      place = placeBehind(document._id, place);
      found.push({ ...toSummary(document), cursor: cursorOfPlace(place) });
    }
    return found;
  });
}

/** @param id the `_id`, as the driver gives it */
export async function show(prompts: PromptsCollection, id: unknown): Promise<JobSummary | undefined> {
  const found = await prompts.run(() => prompts.collection.findOne({ _id: { $eq: id } }, { projection: FIELDS }));
  return found === null ? undefined : toSummary(found);
}

/** Ids of one read. */
const FOLLOWED_AT_ONCE = 1000;

export async function follow(
  prompts: PromptsCollection,
  ids: readonly string[],
): Promise<ReadonlyMap<string, FollowedJob>> {
  const found = new Map<string, FollowedJob>();
  for (let from = 0; from < ids.length; from += FOLLOWED_AT_ONCE)
    await followSome(prompts, ids.slice(from, from + FOLLOWED_AT_ONCE), found);
  return found;
}

async function followSome(
  prompts: PromptsCollection,
  ids: readonly string[],
  found: Map<string, FollowedJob>,
): Promise<void> {
  const asked = ids.map((id) => ({ id, keys: idsOfText(id) }));
  const filter: PromptFilter = { _id: { $in: asked.flatMap(({ keys }) => keys) } };
  const documents = await prompts.run(() =>
    prompts.collection.find(filter, { projection: FIELDS, ...MAJORITY }).toArray(),
  );
  const keyOf = (id: unknown): string => canonicalEjsonOf(documentIdOf(id));
  const byKey = new Map(documents.map((document) => [keyOf(document._id), document]));
  for (const { id, keys } of asked) {
    const document = keys.map((key) => byKey.get(keyOf(key))).find((one) => one !== undefined);
    if (document === undefined) continue;
    const summary = toSummary(document);
    found.set(id, { ...summary, ended: isEnded(summary.status) });
  }
}

export async function counts(prompts: PromptsCollection): Promise<QueueCounts> {
  const { collection, hints } = prompts;
  const count = (filter: PromptFilter, use?: 'pending' | 'processing'): Promise<number> =>
    prompts.run(() => collection.countDocuments(filter, use === undefined ? {} : hints[use]));
  const [pending, processing, stuck, completed, error] = await Promise.all([
    count({ status: 'pending' }, 'pending'),
    count({ status: 'processing', $expr: LEASE_IS_OURS }, 'processing'),
    countStuck(prompts),
    count({ status: 'completed' }),
    count({ status: 'error' }),
  ]);
  return { pending, processing, stuck, completed, error };
}

function toSummary(document: StoredDocument): JobSummary {
  const { _id: id } = document;
  const field = (name: string): unknown => own(document, name);
  const jobField = field('job');
  const job = isRecord(jobField) ? jobField : {};
  const progress: unknown = own(job, 'progress');
  const [url, urls] = [field('image_url'), field('image_urls')];
  return jobSummary({
    id: promptIdText(documentIdOf(id)),
    status: field('status'),
    text: field('text'),
    priority: plainNumber(field('priority')),
    seed: plainNumber(field('seed')),
    imageUrls: Array.isArray(urls) ? urls : url === undefined || url === null ? undefined : [url],
    error: field('error'),
    attempts: plainNumber(own(job, 'attempts')),
    progress: isRecord(progress) ? { step: own(progress, 'step'), steps: own(progress, 'steps') } : NO_PROGRESS,
    owner: own(job, 'owner'),
    leaseUntil: own(job, 'lease_until'),
    awaitsRetry: own(job, 'awaits_retry'),
    lastError: own(job, 'last_error'),
    parameters: own(job, 'parameters'),
    warnings: own(job, 'warnings'),
    enqueuedAt: id instanceof ObjectId ? id.getTimestamp() : undefined,
    finishedAt: dateOf(field('completed_at')) ?? field('error_at'),
    request: mapValues(promptFieldsOf(document), plainNumber),
    startedAt: own(job, 'leased_at'),
    worker: own(job, 'worker'),
    model: own(job, 'model'),
    tenant: own(job, 'tenant'),
    door: own(job, 'door'),
  });
}

function mapValues(fields: StoredDocument, change: (value: unknown) => unknown): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, change(value)]));
}

const NO_PROGRESS = { step: undefined, steps: undefined } as const;

function plainNumber(value: unknown): unknown {
  return value instanceof Long ? value.toNumber() : value;
}
