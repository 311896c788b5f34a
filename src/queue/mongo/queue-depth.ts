/** How long the queue is: counts that end at a limit, so that they cost the same for any number of documents. */
import { Decimal128 } from 'mongodb';
import type { DepthOptions, QueuePosition } from '../prompt-queue.ts';
import { literal, statusIs } from './expressions.ts';
import type { IndexUse } from './indexes.ts';
import { byId, type PromptsCollection } from './prompts-collection.ts';
import type { PromptFilter, PromptProjection } from './statement-types.ts';
import type { StoredDocument } from './statements.ts';

const PENDING = { status: 'pending' } as const;
const WITHOUT_PRIORITY = { priority: { $in: [0, null] } } as const;
/** So many priorities above 0, and so many below, are looked at for the oldest document. */
const MAX_PRIORITIES = 16;

export async function depth(prompts: PromptsCollection, { tenant, status, most }: DepthOptions): Promise<number> {
  const ofTenant: PromptFilter = tenant === undefined ? {} : { 'job.tenant': { $eq: tenant } };
  const pending = await countUpTo(
    prompts,
    { ...PENDING, ...ofTenant },
    { most, use: tenant === undefined ? 'pending' : 'tenantPending' },
  );
  if (status === 'pending' || pending >= most) return pending;
  const processing = await countUpTo(
    prompts,
    { status: 'processing', ...ofTenant },
    { most: most - pending, use: tenant === undefined ? 'processing' : 'tenantProcessing' },
  );
  return pending + processing;
}

/** In the order of a claim without models. */
export async function placeInQueue(
  prompts: PromptsCollection,
  id: unknown,
  { most }: { readonly most: number },
): Promise<QueuePosition | undefined> {
  const projection: PromptProjection = { priority: 1, is_ours: statusIs('pending') };
  const found = await prompts.run(() => prompts.collection.findOne({ ...byId(id), ...PENDING }, { projection }));
  if (found === null || found['is_ours'] !== true || !hasPlace(found)) return undefined;
  let ahead = 0;
  for (const filter of filtersBefore(found)) {
    ahead += await countUpTo(prompts, filter, { most: most - ahead, use: 'pending' });
    if (ahead >= most) return { ahead: most, isCapped: true };
  }
  return { ahead, isCapped: false };
}

function hasPlace({ priority = null }: StoredDocument): boolean {
  if (typeof priority === 'number') return !Number.isNaN(priority);
  return priority === null || priority instanceof Decimal128;
}

/** A missing priority counts as 0, but it lies elsewhere in the index: see `walk-plans.ts`. */
function filtersBefore({ _id, priority }: StoredDocument): readonly PromptFilter[] {
  const isAbove = { ...PENDING, priority: { $gt: 0 } } as const;
  const before: PromptFilter = { $expr: { $lt: ['$_id', literal(_id)] } };
  const value = Number(priority ?? 0);
  if (value > 0)
    return [
      { ...PENDING, priority: { $gt: priority } },
      { ...PENDING, priority: { $eq: priority }, ...before },
    ];
  if (!(value < 0)) return [isAbove, { ...PENDING, ...WITHOUT_PRIORITY, ...before }];
  return [
    isAbove,
    { ...PENDING, ...WITHOUT_PRIORITY },
    { ...PENDING, $and: [{ priority: { $lt: 0 } }, { priority: { $gt: priority } }] },
    { ...PENDING, priority: { $eq: priority }, ...before },
  ];
}

async function countUpTo(
  prompts: PromptsCollection,
  filter: PromptFilter,
  { most, use }: { readonly most: number; readonly use: IndexUse },
): Promise<number> {
  const { collection, bounds, hints } = prompts;
  // A repetition is without the hint, if the index is gone.
  return most <= 0
    ? 0
    : prompts.run(() => collection.countDocuments(filter, { limit: most, ...bounds, ...hints[use] }));
}

/**
 * Only an ObjectId says when it was made. Within one priority the first is the oldest, so the index is entered once for each priority, the higher ones
 * first.
 */
export async function oldestPendingMs(prompts: PromptsCollection): Promise<number | undefined> {
  const ages = [
    await ageOfFirst(prompts, WITHOUT_PRIORITY),
    ...(await agesBySign(prompts, { $gt: 0 })),
    ...(await agesBySign(prompts, { $lt: 0 })),
  ].filter((age) => age !== undefined);
  return ages.length === 0 ? undefined : Math.max(...ages);
}

async function agesBySign(
  prompts: PromptsCollection,
  sign: { readonly $gt: 0 } | { readonly $lt: 0 },
): Promise<readonly (number | undefined)[]> {
  const ages: (number | undefined)[] = [];
  let range: PromptFilter = { priority: sign };
  while (ages.length < MAX_PRIORITIES) {
    const head = await firstOf(prompts, range, { priority: 1 });
    if (head === undefined) break;
    const priority: unknown = head['priority'];
    ages.push(await ageOfFirst(prompts, { priority: { $eq: priority } }));
    range = { $and: [{ priority: sign }, { priority: { $lt: priority } }] };
  }
  return ages;
}

async function ageOfFirst(prompts: PromptsCollection, priority: PromptFilter): Promise<number | undefined> {
  const projection: PromptProjection = { age_ms: { $subtract: ['$$NOW', { $toDate: '$_id' }] } };
  const found = await firstOf(prompts, { ...priority, _id: { $type: 'objectId' } }, projection);
  const age: unknown = found?.['age_ms'];
  // The clocks of those who add documents differ.
  return typeof age === 'number' ? Math.max(0, age) : undefined;
}

async function firstOf(
  prompts: PromptsCollection,
  filter: PromptFilter,
  projection: PromptProjection,
): Promise<StoredDocument | undefined> {
  const { collection, bounds, hints } = prompts;
  const options = { projection, sort: { priority: -1, _id: 1 }, limit: 1, ...bounds } as const;
  const [found] = await prompts.run(() =>
    collection.find({ ...PENDING, ...filter }, { ...options, ...hints.pending }).toArray(),
  );
  return found;
}
