/**
 * Ends jobs whose time is over: `job.cancel_at`, by the server's clock. The jobs that have a time are in an index of their own, so that a look costs the same
 * for any number of others.
 */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { promptIdText } from '../../job/document-id.ts';
import type { OverdueJobs } from '../prompt-queue.ts';
import { ENDED_STATUSES, OPEN_STATUSES, OVERDUE } from '../transitions.ts';
import { canBeSent, documentIdOf } from './bson-ids.ts';
import { ANY_DATE } from './expressions.ts';
import { failPipeline } from './fail.ts';
import { byId, type PromptsCollection } from './prompts-collection.ts';
import { Refusals } from './refusals.ts';
import type { Expression, PromptFilter, PromptProjection } from './statement-types.ts';
import type { StoredDocument } from './statements.ts';

const HEAD_SIZE = 128;
const MAX_HEAD_SIZE = 1000;
/** Writes at a time. */
const AT_ONCE = 16;
/** Without the index each look reads every open document. */
const WITHOUT_INDEX_MS = 60_000;
/** The database may then accept a change that it refused before. */
const REFUSED_MS = 10 * 60_000;

const IS_DATE: Expression = { $eq: [{ $type: '$job.cancel_at' }, 'date'] };
const IS_OPEN: Expression = { $in: ['$status', OPEN_STATUSES] };
const IS_OVER: Expression = { $and: [IS_DATE, { $lte: ['$job.cancel_at', '$$NOW'] }] };
const PROJECTION: PromptProjection = {
  _id: 1,
  wait_ms: { $cond: [IS_DATE, { $subtract: ['$job.cancel_at', '$$NOW'] }, null] },
};

/** One process remembers this from look to look. */
export class OverdueMemory {
  readonly refusals = new Refusals();
  refusedSinceMs = -Infinity;
  nextSlowLookMs = -Infinity;
}

/** @throws as `run` */
export async function endOverdue(prompts: PromptsCollection, memory: OverdueMemory): Promise<OverdueJobs> {
  const ended: string[] = [];
  if (prompts.hints.deadlines.hint === undefined && !isSlowLookDue(memory)) return { ended, nextMs: undefined };
  if (performance.now() - memory.refusedSinceMs > REFUSED_MS) {
    memory.refusals.clear();
    memory.refusedSinceMs = performance.now();
  }
  for (;;) {
    const found = await look(prompts, memory);
    const over = found.filter(({ wait_ms: waitMs }) => waitMs <= 0);
    const waiting = found.find(({ wait_ms: waitMs }) => waitMs > 0);
    const before = ended.length;
    for (let at = 0; at < over.length && prompts.signal?.aborted !== true; at += AT_ONCE)
      ended.push(...(await endSome(prompts, over.slice(at, at + AT_ONCE), memory)));
    const isMore = over.length === found.length && over.length > 0 && ended.length > before;
    if (!isMore || prompts.signal?.aborted === true) return { ended, nextMs: waiting?.wait_ms };
  }
}

function isSlowLookDue(memory: OverdueMemory): boolean {
  const nowMs = performance.now();
  if (nowMs < memory.nextSlowLookMs) return false;
  memory.nextSlowLookMs = nowMs + WITHOUT_INDEX_MS;
  return true;
}

interface TimedDocument extends StoredDocument {
  readonly wait_ms: number;
}

/** In the order of their times. */
async function look(prompts: PromptsCollection, { refusals }: OverdueMemory): Promise<readonly TimedDocument[]> {
  const { collection, bounds, hints } = prompts;
  // Ended ones are there only where another version of the service ended them.
  const statuses = hints.deadlines.hint === undefined ? OPEN_STATUSES : [...OPEN_STATUSES, ...ENDED_STATUSES];
  const filter: PromptFilter = { 'job.cancel_at': ANY_DATE, status: { $in: statuses }, $expr: IS_DATE };
  const limit = Math.min(MAX_HEAD_SIZE, HEAD_SIZE + refusals.count);
  const options = { projection: PROJECTION, sort: { 'job.cancel_at': 1 }, limit, ...bounds } as const;
  const found = await prompts.run(() => collection.find(filter, { ...options, ...hints.deadlines }).toArray());
  return found.filter(
    (document): document is TimedDocument =>
      typeof document['wait_ms'] === 'number' && canBeSent(document._id) && !refusals.has(document._id),
  );
}

async function endSome(
  prompts: PromptsCollection,
  documents: readonly TimedDocument[],
  memory: OverdueMemory,
): Promise<readonly string[]> {
  const ended = await Promise.all(documents.map(({ _id }) => endOne(prompts, _id, memory)));
  return documents.filter((_, index) => ended[index] === true).map(({ _id }) => promptIdText(documentIdOf(_id)));
}

/** One that has ended already only loses its time. */
async function endOne(prompts: PromptsCollection, id: unknown, { refusals }: OverdueMemory): Promise<boolean> {
  const filter: PromptFilter = {
    ...byId(id),
    status: { $in: OPEN_STATUSES },
    $expr: { $and: [IS_OPEN, IS_OVER] },
  };
  const pipeline = failPipeline(OVERDUE, undefined, ['job.token']);
  try {
    const { matchedCount } = await prompts.run(() => prompts.collection.updateOne(filter, pipeline));
    if (matchedCount === 0) await forgetTime(prompts, id);
    return matchedCount === 1;
  } catch (error) {
    const { code } = Text2ImgError.from(error);
    if (code !== 'queue_refused' && code !== 'invalid_document') throw error;
    refusals.add(id);
    return false;
  }
}

async function forgetTime(prompts: PromptsCollection, id: unknown): Promise<void> {
  const filter: PromptFilter = { ...byId(id), status: { $in: ENDED_STATUSES }, $expr: IS_OVER };
  await prompts.run(() => prompts.collection.updateOne(filter, [{ $unset: ['job.cancel_at'] }]));
}
