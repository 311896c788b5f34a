/**
 * Goes through the documents that a webhook is due for, the longest due first: takes what is proven, gives up what is not, and passes over by their
 * place in the index the documents that the server lets nobody change (16 MB already, or a validator that is not ours), so that they stand in
 * nobody's way.
 */
import { randomBytes } from 'node:crypto';
import type { Document } from 'mongodb';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { promptIdText } from '../../job/document-id.ts';
import { isRecord, own } from '../../lib/foreign-record.ts';
import { excerpt } from '../../lib/foreign-text.ts';
import { type HookRecord, hookOf } from '../job-record.ts';
import type { DueWebhook } from '../webhook-outbox.ts';
import { documentIdOf } from './bson-ids.ts';
import { ANY_DATE, fromNow, literal } from './expressions.ts';
import { closed, HOOKS, IS_DUE, mapHooks, SET_DUE } from './hook-expressions.ts';
import { byId, type PromptsCollection } from './prompts-collection.ts';
import { isProven } from './webhook-proof.ts';

/** Documents of one look at the index, and the most looks in a row until something is taken, or all is given up. */
const LOOK_SIZE = 200;
const MAX_LOOKS = 5;
const ALL_LOOKS = 5000;
/** Of one document at a time. */
const MAX_HOOKS = 8;
/** Named in one write; the next look names more. */
const MAX_WRONG_PROOFS = 10_000;
/** More than fit into a document. */
const ALL_HOOKS = 1_000_000;
/** After so long what was passed over is looked at again: a refusal may have been a passing one, and others are due before it. */
const PASSED_MS = 60_000;
const MAX_SAID = 1000;
const SHOWN_ID_LENGTH = 200;

const UNPROVEN =
  'nothing proves that this service recorded it: it is of version 0.1.0, or somebody wrote it into the document; "text2img webhooks redrive ID" sends it all the same';

interface Place {
  readonly id: unknown;
  readonly due: Date;
}

/** What became of a document: `moved`: it is not due any more. `open`: more is due in it. `stubborn`: it cannot be changed. */
type Visit = 'moved' | 'open' | 'stubborn';

interface Bounds {
  readonly isOver: () => boolean;
  /** The most looks in a row. */
  readonly looks: number;
}

type Visitor = (place: Place) => Promise<Visit>;

export interface TakeOptions {
  readonly limit: number;
  readonly leaseMs: number;
  readonly signal?: AbortSignal | undefined;
}

export class WebhookWalk {
  /** Everything that was due until then is passed over. */
  #passed: Date | undefined;
  #passedMs = 0;
  readonly #said = new Set<string>();
  /** The `_id`s of those that are being tried. */
  readonly #ids = new WeakMap<DueWebhook, unknown>();

  /** The document of one that was taken here. */
  filterOf(webhook: DueWebhook): Document {
    return this.#ids.has(webhook) ? filterOfId(this.#ids.get(webhook)) : { 'job.hook_due': ANY_DATE };
  }

  async take(prompts: PromptsCollection, { limit, leaseMs, signal }: TakeOptions): Promise<readonly DueWebhook[]> {
    const due: DueWebhook[] = [];
    let unproven = 0;
    const isOver = (): boolean => due.length >= limit || signal?.aborted === true;
    await this.#visitAll(prompts, { isOver, looks: MAX_LOOKS }, async (place) => {
      const { hooks, count } = await dueHooks(prompts, place, MAX_HOOKS);
      const whole = wholeOf(hooks);
      const judgement = await judge(prompts, place.id, whole);
      const proven = whole.filter(judgement.isProven);
      for (const hook of proven) {
        if (isOver()) return 'open';
        const token = randomBytes(12).toString('hex');
        if (!(await lease(prompts, place, { hook, token, leaseMs }))) continue;
        const { id, body, url, attempts } = hook;
        const promptId = promptIdText(documentIdOf(place.id));
        const taken = { id, body, attempts, token, promptId, ...(url === undefined ? {} : { url }) };
        this.#ids.set(taken, place.id);
        due.push(taken);
      }
      if (count > hooks.length && proven.length === hooks.length) return 'open';
      if (count > 0 && proven.length === count) return 'moved';
      const given = await giveUpUnproven(prompts, place, judgement);
      unproven += given.count;
      return given.visit;
    });
    if (unproven > 0)
      prompts.logger.warning(
        'webhooks in documents were given up, because nothing proves that this service recorded them',
        {
          count: unproven,
          see: 'text2img webhooks list --state dead',
        },
      );
    return due;
  }

  /** @param isMeant a condition on `$$hook` @returns how many documents had one */
  async giveUp(prompts: PromptsCollection, isMeant: Document, error: string): Promise<number> {
    const pipeline = [{ $set: { 'job.hooks': mapHooks({ $cond: [isMeant, closed(error), '$$hook'] }) } }, SET_DUE];
    let count = 0;
    await this.#visitAll(prompts, { isOver: () => false, looks: ALL_LOOKS }, async (place) => {
      const isChanged = await change(prompts, place, pipeline);
      if (isChanged) count++;
      // Where nothing was meant, it stays due for others.
      return isChanged ? 'moved' : 'open';
    });
    return count;
  }

  async msUntilNext(prompts: PromptsCollection): Promise<number | undefined> {
    const found = await prompts.run(() =>
      prompts.collection.findOne(this.#filter() as never, {
        projection: { wait_ms: { $subtract: ['$job.hook_due', '$$NOW'] } },
        sort: { 'job.hook_due': 1 },
        ...prompts.hints.webhooks,
      }),
    );
    const waitMs = found?.['wait_ms'];
    return waitMs === undefined || waitMs === null ? undefined : Math.max(0, Number(waitMs));
  }

  #filter(): Document {
    if (performance.now() - this.#passedMs > PASSED_MS) this.#passed = undefined;
    const isDate = { $eq: [{ $type: '$job.hook_due' }, 'date'] };
    return { 'job.hook_due': this.#passed === undefined ? ANY_DATE : { $gt: this.#passed }, $expr: isDate };
  }

  async #visitAll(prompts: PromptsCollection, { isOver, looks }: Bounds, visit: Visitor): Promise<void> {
    let mayPass = true;
    for (let look = 0; look < looks && !isOver(); look++) {
      const places = await this.#places(prompts);
      let goesOn = false;
      for (const place of places) {
        if (isOver()) return;
        const outcome = await this.#visit(prompts, place, visit);
        if (outcome === 'open') mayPass = false;
        if (outcome === 'stubborn' && mayPass) {
          this.#passed = place.due;
          this.#passedMs = performance.now();
        }
        // The next look begins behind those, or they are not due any more.
        if (outcome === 'moved' || (outcome === 'stubborn' && mayPass)) goesOn = true;
      }
      if (places.length < LOOK_SIZE || !goesOn) return;
    }
  }

  async #visit(prompts: PromptsCollection, place: Place, visit: Visitor): Promise<Visit> {
    try {
      return await visit(place);
    } catch (error) {
      if (!isRefusal(error)) throw error;
      this.#say(prompts, place, error.message);
      return 'stubborn';
    }
  }

  async #places(prompts: PromptsCollection): Promise<readonly Place[]> {
    const { $expr: isDate, ...filter } = this.#filter();
    const isDue = { $expr: { $and: [isDate, { $lte: ['$job.hook_due', '$$NOW'] }] } };
    const found = await prompts.run(() =>
      prompts.collection
        .find({ ...filter, ...isDue } as never, {
          projection: { _id: 1, due: '$job.hook_due' },
          sort: { 'job.hook_due': 1 },
          limit: LOOK_SIZE,
          ...prompts.hints.webhooks,
        })
        .toArray(),
    );
    return found.map((document) => ({ id: document._id as unknown, due: document['due'] as Date }));
  }

  #say({ logger }: PromptsCollection, { id }: Place, reason: string): void {
    const promptId = excerpt(promptIdText(documentIdOf(id)), SHOWN_ID_LENGTH);
    if (this.#said.has(promptId) || this.#said.size >= MAX_SAID) return;
    this.#said.add(promptId);
    logger.warning('a prompt with a webhook cannot be changed in the database; its webhook is passed over', {
      prompt_id: promptId,
      reason,
    });
  }
}

/** The server stores nothing of what we would write into the document. */
const REFUSALS: ReadonlySet<string> = new Set(['invalid_document', 'queue_refused']);

export function isRefusal(error: unknown): error is Text2ImgError {
  return error instanceof Text2ImgError && REFUSALS.has(error.code);
}

/** One that can be sent. */
type WholeHook = HookRecord & { readonly body: string };

/** Up to `limit` that are due, and how many there are. */
async function dueHooks(
  prompts: PromptsCollection,
  place: Place,
  limit: number,
): Promise<{ readonly hooks: readonly unknown[]; readonly count: number }> {
  const found = await prompts.run(() =>
    prompts.collection.findOne(filterOfPlace(place) as never, {
      projection: {
        hooks: { $slice: [{ $filter: { input: HOOKS, as: 'hook', cond: IS_DUE } }, limit] },
        count: { $size: { $filter: { input: HOOKS, as: 'hook', cond: IS_DUE } } },
      },
    }),
  );
  const hooks: unknown = found?.['hooks'];
  return { hooks: Array.isArray(hooks) ? hooks : [], count: Number(found?.['count'] ?? 0) };
}

/** Which of a document's webhooks are ours, as far as the known keys tell. */
interface Judgement {
  readonly isProven: (hook: WholeHook) => boolean;
  /** It has a proof, which may be of a key that is not known here yet. What has no proof at all is decided. */
  readonly isOpen: (hook: WholeHook) => boolean;
}

async function judge(prompts: PromptsCollection, id: unknown, hooks: readonly WholeHook[]): Promise<Judgement> {
  const documentId = documentIdOf(id);
  const known = await prompts.webhookKeys.toRead();
  const isProvenByKnown = (hook: WholeHook): boolean => isProven(known.keys, documentId, hook);
  if (hooks.every(isProvenByKnown)) return { isProven: isProvenByKnown, isOpen: () => false };
  // Another worker may have made a key since.
  const { keys, isCurrent } = await prompts.webhookKeys.toRead({ isStale: true });
  const isProvenNow = (hook: WholeHook): boolean => isProven(keys, documentId, hook);
  return { isProven: isProvenNow, isOpen: (hook) => !isCurrent && hook.proof !== undefined && !isProvenNow(hook) };
}

/** A text in the place of a proof. */
function proofIn(hook: unknown): string | undefined {
  const proof = isRecord(hook) ? own(hook, 'proof') : undefined;
  return typeof proof === 'string' ? proof : undefined;
}

function wholeOf(hooks: readonly unknown[]): readonly WholeHook[] {
  return hooks.map(hookOf).filter((hook): hook is WholeHook => hook?.body !== undefined);
}

interface Lease {
  readonly hook: WholeHook;
  readonly token: string;
  readonly leaseMs: number;
}

/** False: somebody else has it. */
async function lease(prompts: PromptsCollection, { id }: Place, { hook, token, leaseMs }: Lease): Promise<boolean> {
  // Of a repetition the first try may have taken it.
  const isOurs = { $or: [{ $eq: ['$$hook.due', literal(hook.due)] }, { $eq: ['$$hook.token', literal(token)] }] };
  const isIt = {
    $and: [
      { $eq: ['$$hook.id', literal(hook.id)] },
      { $eq: ['$$hook.proof', literal(hook.proof)] },
      { $eq: ['$$hook.state', 'pending'] },
      isOurs,
    ],
  };
  const taken = { $mergeObjects: ['$$hook', { due: fromNow(leaseMs), token: literal(token) }] };
  const holder = { $or: [{ due: hook.due }, { token }] };
  const filter = {
    ...filterOfId(id),
    'job.hooks': { $elemMatch: { id: hook.id, proof: hook.proof, state: 'pending', ...holder } },
  };
  const pipeline = [{ $set: { 'job.hooks': mapHooks({ $cond: [isIt, taken, '$$hook'] }) } }, SET_DUE];
  const { matchedCount } = await prompts.run(() => prompts.collection.updateOne(filter as never, pipeline as never));
  return matchedCount === 1;
}

/** All that are due and surely not ours; a document with nothing due is given the time when it is. */
async function giveUpUnproven(
  prompts: PromptsCollection,
  place: Place,
  { isProven: isOurs, isOpen }: Judgement,
): Promise<{ readonly count: number; readonly visit: Visit }> {
  const { hooks, count } = await dueHooks(prompts, place, ALL_HOOKS);
  const whole = wholeOf(hooks);
  // What is not decided yet waits for the next look.
  const kept = whole.filter((hook) => isOurs(hook) || isOpen(hook));
  if (kept.length === count && count > 0) return { count: 0, visit: 'open' };
  const proofs = new Set(kept.map(({ proof }) => proof));
  const wrong = hooks.map(proofIn).filter((proof) => proof !== undefined && !proofs.has(proof));
  // Exactly those that were judged: a completion may add one of ours before this is written.
  const isWrong = { $in: ['$$hook.proof', literal([...new Set(wrong)].slice(0, MAX_WRONG_PROOFS))] };
  const isUnproven = { $and: [IS_DUE, { $or: [{ $ne: [{ $type: '$$hook.proof' }, 'string'] }, isWrong] }] };
  const pipeline = [{ $set: { 'job.hooks': mapHooks({ $cond: [isUnproven, closed(UNPROVEN), '$$hook'] }) } }, SET_DUE];
  const isChanged = await change(prompts, place, pipeline);
  // A due time that cannot be put right, whatever the reason, would come back at every look; one that another worker put right will not.
  if (!isChanged) return { count: 0, visit: (await isStillDue(prompts, place)) ? 'stubborn' : 'moved' };
  const isWhole = kept.length === 0 && wrong.length <= MAX_WRONG_PROOFS;
  return { count: count - kept.length, visit: isWhole ? 'moved' : 'open' };
}

async function isStillDue(prompts: PromptsCollection, place: Place): Promise<boolean> {
  const options = { projection: { _id: 1 } };
  return (await prompts.run(() => prompts.collection.findOne(filterOfPlace(place) as never, options))) !== null;
}

async function change(prompts: PromptsCollection, { id, due }: Place, pipeline: readonly Document[]): Promise<boolean> {
  const { modifiedCount } = await prompts.run(() =>
    prompts.collection.updateOne(filterOfPlace({ id, due }) as never, pipeline as never),
  );
  return modifiedCount === 1;
}

function filterOfPlace({ id, due }: Place): Document {
  return filterOfId(id, { 'job.hook_due': due });
}

/** The document with this `_id`; where that does not survive JavaScript, `otherwise` must find it. */
export function filterOfId(id: unknown, otherwise: Document = { 'job.hook_due': ANY_DATE }): Document {
  const isSure = typeof id === 'string' ? !id.includes('\uFFFD') : documentIdOf(id).kind !== 'other';
  return isSure ? byId(id) : otherwise;
}
