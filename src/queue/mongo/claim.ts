/**
 * Claim: makes documents this worker's, each in one atomic write: expired leases and due retries first, then pending ones.
 *
 * Pending documents are claimed by their ids out of one look at the head of the queue. So workers that collide see it, and then
 * spread over the head instead of all sorting for its first document: with 32 claimers every claim by sort was retried inside the server
 * (`npm run bench:queue`). A document whose `_id` does not survive JavaScript is claimed by sort.
 */
import { randomBytes } from 'node:crypto';
import type { Document } from 'mongodb';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { PROMPT_FIELDS } from '../../job/prompt-document.ts';
import { namesItsDocument } from './bson-ids.ts';
import { ANY_DATE, fromNow, JOB_IS_OURS, leaseEnded, literal, numberAt, statusIs } from './expressions.ts';
import { failUnclaimed } from './fail.ts';
import type { PromptRecord } from './prompt-record.ts';
import { byId, MAJORITY, type PromptsCollection } from './prompts-collection.ts';
import type { SkipList } from './skip-list.ts';

/** Nothing else is read: a document may have 16 MB of its own. */
const PROJECTION: Readonly<Record<string, 1>> = Object.fromEntries(
  [...PROMPT_FIELDS, 'job.run_id', 'job.attempts', 'job.previous_died'].map((field) => [field, 1 as const]),
);

/** How much of the queue's head is looked at; more where many want it, else they all meet in the same few. */
const HEAD_SIZE = 32;
const CROWDED_HEAD_SIZE = 128;
/** After so many collisions in one look it is out of date: with 32 claimers some went through a whole stale head, for a second. */
const MAX_STALE = 2;
const MAX_MISSES = 64;

/** A missing priority counts as 0, but MongoDB sorts it behind every number: so three zones, each in the index's order. */
const ZONES: readonly { readonly filter: Document; readonly sort: Record<string, 1 | -1> }[] = [
  { filter: { priority: { $gt: 0 } }, sort: { priority: -1, _id: 1 } },
  { filter: { priority: { $in: [0, null] } }, sort: { _id: 1 } },
  { filter: { priority: { $not: { $gt: 0 }, $nin: [0, null] } }, sort: { priority: -1, _id: 1 } },
];

export interface ClaimedRecord {
  readonly record: Document;
  readonly token: string;
}

interface HeadEntry {
  readonly id: unknown;
  readonly jobType: string;
  readonly zone: (typeof ZONES)[number];
}

/** How often documents were taken by somebody else lately, in [0, 1]. */
export interface Contention {
  rate: number;
}

/** From this share on the place in the head is left to chance. */
const SPREAD_FROM = 0.1;
/** One collision is taken seriously at once, and forgotten after some forty claims without another. */
const CALMING = 0.05;

export interface ClaimOptions {
  readonly limit: number;
  readonly skip: SkipList;
  readonly contention: Contention;
}

export async function claim(prompts: PromptsCollection, options: ClaimOptions): Promise<readonly ClaimedRecord[]> {
  const claimed: ClaimedRecord[] = [];
  while (claimed.length < options.limit) {
    const next = await claimExpired(prompts, options.skip);
    if (next === undefined) break;
    claimed.push(next);
  }
  if (claimed.length < options.limit)
    claimed.push(...(await claimPending(prompts, { ...options, limit: options.limit - claimed.length })));
  return claimed;
}

function own({ owner, leaseMs }: PromptsCollection, token: string): Document {
  return {
    'job.token': literal(token),
    'job.owner': literal(owner),
    'job.leased_at': '$$NOW',
    'job.lease_until': fromNow(leaseMs),
  };
}

const ATTEMPTS_PLUS_ONE = { $add: [numberAt('$job.attempts'), 1] };

/** Whoever put it off knew how the attempt ended; a lease that ran out says that its worker died. */
const PREVIOUS_DIED = {
  $cond: [{ $eq: ['$job.awaits_retry', true] }, { $eq: ['$job.previous_died', true] }, true],
};

async function claimExpired(prompts: PromptsCollection, skip: SkipList): Promise<ClaimedRecord | undefined> {
  const hasAttemptsLeft = { $lt: [numberAt('$job.attempts'), prompts.maxAttempts] };
  const filter = { ...leaseEnded(hasAttemptsLeft), _id: { $nin: skip.ids } };
  const take = (token: string): Document[] => [
    { $set: { ...own(prompts, token), 'job.attempts': ATTEMPTS_PLUS_ONE, 'job.previous_died': PREVIOUS_DIED } },
    { $unset: ['job.awaits_retry'] },
  ];
  const sort = { 'job.lease_until': 1 } as const;
  return claimOne(prompts, { filter, take, sort, ...prompts.hints.processing }, skip);
}

async function claimPending(
  prompts: PromptsCollection,
  { limit, skip, contention }: ClaimOptions,
): Promise<ClaimedRecord[]> {
  const claimed: ClaimedRecord[] = [];
  let misses = 0;
  while (claimed.length < limit && misses <= MAX_MISSES) {
    const isCrowded = contention.rate > SPREAD_FROM;
    const size = isCrowded ? CROWDED_HEAD_SIZE : HEAD_SIZE;
    const head = await readHead(prompts, { skip, wanted: limit - claimed.length, size });
    if (head.length === 0) break;
    let stale = 0;
    while (head.length > 0 && claimed.length < limit && stale < MAX_STALE) {
      const place = isCrowded || stale > 0 ? Math.floor(Math.random() * head.length) : 0;
      const [entry] = head.splice(place, 1) as [HeadEntry];
      if (entry.jobType !== 'missing' && entry.jobType !== 'object') {
        await failForeignJob(prompts, entry, skip);
        continue;
      }
      const taken = await claimEntry(prompts, entry, skip);
      contention.rate += taken === undefined ? (1 - contention.rate) / 2 : -contention.rate * CALMING;
      if (taken !== undefined) claimed.push(taken);
      else {
        stale++;
        misses++;
      }
    }
  }
  return claimed;
}

async function readHead(
  prompts: PromptsCollection,
  { skip, wanted, size }: { readonly skip: SkipList; readonly wanted: number; readonly size: number },
): Promise<HeadEntry[]> {
  const head: HeadEntry[] = [];
  for (const zone of ZONES) {
    const found = await prompts.run(() =>
      prompts.collection
        .find({ status: 'pending', $expr: statusIs('pending'), ...zone.filter, _id: { $nin: skip.ids } } as never, {
          projection: { _id: 1, job_type: { $type: '$job' } },
          sort: zone.sort,
          limit: size,
          ...prompts.hints.pending,
        })
        .toArray(),
    );
    head.push(
      ...found.map((document) => ({ id: document._id as unknown, jobType: String(document['job_type']), zone })),
    );
    if (head.length >= wanted) break;
  }
  return head;
}

async function claimEntry(
  prompts: PromptsCollection,
  { id, zone }: HeadEntry,
  skip: SkipList,
): Promise<ClaimedRecord | undefined> {
  const runId = randomBytes(16).toString('hex');
  const isPending = { status: 'pending', $expr: { $and: [statusIs('pending'), JOB_IS_OURS] } };
  const resumes = { $and: [{ $eq: ['$job.resume', true] }, { $eq: [{ $type: '$job.run_id' }, 'string'] }] };
  const take = (token: string): Document[] => [
    {
      $set: {
        ...own(prompts, token),
        status: 'processing',
        'job.run_id': { $cond: [resumes, '$job.run_id', literal(runId)] },
        'job.attempts': { $cond: [resumes, ATTEMPTS_PLUS_ONE, 1] },
        'job.previous_died': { $cond: [resumes, { $eq: ['$job.previous_died', true] }, false] },
      },
    },
    { $unset: ['job.resume', 'job.awaits_retry', 'job.progress'] },
  ];
  if (namesItsDocument(id)) return claimOne(prompts, { filter: { ...byId(id), ...isPending }, take }, skip);
  const filter = { ...isPending, ...zone.filter, _id: { $nin: skip.ids } };
  return claimOne(prompts, { filter, take, sort: zone.sort, ...prompts.hints.pending }, skip);
}

interface ClaimStatement {
  readonly filter: Document;
  readonly take: (token: string) => Document[];
  readonly sort?: Record<string, 1 | -1>;
  readonly hint?: Document;
}

async function claimOne(
  prompts: PromptsCollection,
  statement: ClaimStatement,
  skip: SkipList,
): Promise<ClaimedRecord | undefined> {
  const { filter, take, ...options } = statement;
  const token = randomBytes(16).toString('hex');
  let isRepeated = false;
  try {
    const record = await prompts.run(async () => {
      // The try before may have taken the document without our hearing of it.
      const taken = isRepeated ? await findByToken(prompts, token) : null;
      isRepeated = true;
      return taken ?? (await findAndTake(prompts, { filter, update: take(token), options }));
    });
    if (record === null) return undefined;
    if (namesItsDocument(record['_id']) || (await isNamedBy(prompts, record['_id'], token))) return { record, token };
    await failUnnamed(prompts, token);
    return undefined;
  } catch (error) {
    if (!(error instanceof Text2ImgError && error.code === 'invalid_document')) throw error;
    await skipHead(prompts, statement, { skip, error });
    return undefined;
  }
}

async function findAndTake(
  { collection }: PromptsCollection,
  { filter, update, options }: { readonly filter: Document; readonly update: Document[]; readonly options: Document },
): Promise<Document | null> {
  return collection.findOneAndUpdate(filter, update, {
    ...options,
    projection: PROJECTION,
    returnDocument: 'after',
    includeResultMetadata: false,
  });
}

function findByToken({ collection, hints }: PromptsCollection, token: string): Promise<PromptRecord | null> {
  const filter = { status: 'processing', 'job.lease_until': ANY_DATE, 'job.token': token };
  return collection.findOne(filter as never, { projection: PROJECTION, ...hints.processing, ...MAJORITY });
}

async function isNamedBy(prompts: PromptsCollection, id: unknown, token: string): Promise<boolean> {
  const found = await prompts.run(() =>
    prompts.collection.countDocuments({ ...byId(id), 'job.token': token }, { limit: 1 }),
  );
  return found === 1;
}

/** Whatever is done with it could hit another document, its picture's name included. */
async function failUnnamed(prompts: PromptsCollection, token: string): Promise<void> {
  const filter = { status: 'processing', 'job.lease_until': ANY_DATE, 'job.token': token };
  await failUnclaimed(prompts, filter, {
    code: 'invalid_document',
    message:
      'its "_id" cannot be used as a name: it is not valid UTF-8, or a sub-document whose fields have numbers as names.',
  });
}

async function failForeignJob(prompts: PromptsCollection, { id, jobType }: HeadEntry, skip: SkipList): Promise<void> {
  const filter = { ...byId(id), status: 'pending', $expr: { $and: [statusIs('pending'), { $not: [JOB_IS_OURS] }] } };
  const message = `"job" is of type ${jobType}; the service keeps its state there, so allowed are a sub-document or nothing.`;
  try {
    const failed = await failUnclaimed(prompts, filter, { code: 'invalid_document', message });
    if (!failed) skip.add(id, message);
  } catch (error) {
    skip.add(id, (error as Error).message);
  }
}

/** The server would not store the claim: 16 MB, or a validator that is not ours. It must not stand in the others' way. */
async function skipHead(
  prompts: PromptsCollection,
  { filter, sort, hint }: ClaimStatement,
  { skip, error }: { readonly skip: SkipList; readonly error: Text2ImgError },
): Promise<void> {
  const options = {
    projection: { _id: 1 },
    ...(sort === undefined ? {} : { sort }),
    ...(hint === undefined ? {} : { hint }),
  };
  const head = await prompts.run(() => prompts.collection.findOne(filter as never, options));
  if (head === null) return;
  const failed = await failUnclaimed(
    prompts,
    { ...filter, _id: { $eq: head._id } },
    {
      code: 'invalid_document',
      message: 'the server refuses to store what the service would write into it.',
    },
  ).catch(() => false);
  if (!failed) skip.add(head._id, error.message);
}
