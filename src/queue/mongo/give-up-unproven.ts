/** Fails the due webhooks of one document that have no valid proof; the document is given the time of what is left. */
import { isRecord, own } from '../../lib/foreign-record.ts';
import { literal } from './expressions.ts';
import { closed, IS_DUE, mapHooks, SET_DUE } from './hook-expressions.ts';
import type { PromptsCollection } from './prompts-collection.ts';
import type { Expression, PromptUpdate } from './statement-types.ts';
import type { Judgement } from './webhook-judgement.ts';
import { dueHooks, filterOfPlace, type WebhookPlace, wholeOf } from './webhook-place.ts';
import type { Visit } from './webhook-walk.ts';

/** Named in one write; the next look names more. */
const MAX_WRONG_PROOFS = 10_000;
/** More than fit into a document. */
const ALL_HOOKS = 1_000_000;

const UNPROVEN =
  'it has no proof that this service recorded it: it is of version 0.1.0, or another program wrote it; "text2img webhooks redrive ID" sends it anyway';

export async function giveUpUnproven(
  prompts: PromptsCollection,
  place: WebhookPlace,
  { isProven, isOpen }: Judgement,
): Promise<{ readonly count: number; readonly visit: Visit }> {
  const { hooks, count } = await dueHooks(prompts, place, ALL_HOOKS);
  const whole = wholeOf(hooks);
  // Webhooks that are not decided yet wait for the next look.
  const kept = whole.filter((hook) => isProven(hook) || isOpen(hook));
  if (kept.length === count && count > 0) return { count: 0, visit: 'open' };
  const proofs = new Set(kept.map(({ proof }) => proof));
  const wrong = hooks.map(proofIn).filter((proof) => proof !== undefined && !proofs.has(proof));
  const { matchedCount, modifiedCount } = await giveUp(prompts, place, [...new Set(wrong)].slice(0, MAX_WRONG_PROOFS));
  // Another worker changed the document first. It may be due again already, at the same time: the next look sees it.
  if (matchedCount === 0) return { count: 0, visit: 'moved' };
  if (modifiedCount === 0) return { count: 0, visit: await visitOfUnchanged(prompts, place, isProven) };
  const isWhole = kept.length === 0 && wrong.length <= MAX_WRONG_PROOFS;
  return { count: count - kept.length, visit: isWhole ? 'moved' : 'open' };
}

/** Exactly those that were judged, and what has no proof: a completion may add one of ours before this is written. */
async function giveUp(
  prompts: PromptsCollection,
  place: WebhookPlace,
  wrongProofs: readonly unknown[],
): Promise<{ readonly matchedCount: number; readonly modifiedCount: number }> {
  const isWrong: Expression = { $in: ['$$hook.proof', literal(wrongProofs)] };
  const isUnproven: Expression = { $and: [IS_DUE, { $or: [{ $ne: [{ $type: '$$hook.proof' }, 'string'] }, isWrong] }] };
  const update: PromptUpdate = [
    { $set: { 'job.hooks': mapHooks({ $cond: [isUnproven, closed(UNPROVEN), '$$hook'] }) } },
    SET_DUE,
  ];
  return prompts.run(() => prompts.collection.updateOne(filterOfPlace(place), update));
}

/** The write found nothing to change. A due time that we cannot correct would come back at every look. */
async function visitOfUnchanged(
  prompts: PromptsCollection,
  place: WebhookPlace,
  isProven: Judgement['isProven'],
): Promise<Visit> {
  const { hooks, isThere } = await dueHooks(prompts, place, ALL_HOOKS);
  if (!isThere) return 'moved';
  // It was recorded since, in the same millisecond.
  return wholeOf(hooks).some(isProven) ? 'open' : 'stubborn';
}

/** A text in the place of a proof. */
function proofIn(hook: unknown): string | undefined {
  const proof = isRecord(hook) ? own(hook, 'proof') : undefined;
  return typeof proof === 'string' ? proof : undefined;
}
