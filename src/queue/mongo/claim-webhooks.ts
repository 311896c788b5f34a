/** Claims webhooks that are due: each is leased in one atomic write. Webhooks without a valid proof fail for good on the way. */
import { promptIdText } from '../../job/document-id.ts';
import { omitUndefined } from '../../lib/omit-undefined.ts';
import { newToken } from '../transitions.ts';
import type { DueWebhook } from '../webhook-outbox.ts';
import { documentIdOf } from './bson-ids.ts';
import { fromNow, literal } from './expressions.ts';
import { giveUpUnproven } from './give-up-unproven.ts';
import { mapHooks, SET_DUE } from './hook-expressions.ts';
import type { PromptsCollection } from './prompts-collection.ts';
import type { Expression, HookFilter, PromptFilter, PromptUpdate } from './statement-types.ts';
import { judge } from './webhook-judgement.ts';
import { dueHooks, filterOfId, type WebhookPlace, type WholeHook, wholeOf } from './webhook-place.ts';
import type { WebhookWalk } from './webhook-walk.ts';

/** The most looks at the index in a row until something is taken. */
const MAX_LOOKS = 5;
/** Of one document at a time. */
const MAX_HOOKS = 8;

export interface ClaimWebhooksOptions {
  readonly limit: number;
  readonly leaseMs: number;
  readonly signal?: AbortSignal | undefined;
}

export interface ClaimedWebhook {
  readonly webhook: DueWebhook;
  /** The `_id` of its document, as the driver gives it. */
  readonly documentId: unknown;
}

export async function claimWebhooks(
  prompts: PromptsCollection,
  walk: WebhookWalk,
  { limit, leaseMs, signal }: ClaimWebhooksOptions,
): Promise<readonly ClaimedWebhook[]> {
  const claimed: ClaimedWebhook[] = [];
  let unproven = 0;
  const isOver = (): boolean => claimed.length >= limit || signal?.aborted === true;
  await walk.visitAll(prompts, { isOver, looks: MAX_LOOKS }, async (place) => {
    const { hooks, count, endedMsAgo } = await dueHooks(prompts, place, MAX_HOOKS);
    const whole = wholeOf(hooks);
    const judgement = await judge(prompts, place.id, whole);
    const proven = whole.filter(judgement.isProven);
    for (const hook of proven) {
      if (isOver()) return 'open';
      const token = newToken();
      if (!(await lease(prompts, place, { hook, token, leaseMs }))) continue;
      const webhook = { ...toDue(place, hook, token), ...omitUndefined({ endedMsAgo }) };
      claimed.push({ webhook, documentId: place.id });
    }
    if (count > hooks.length && proven.length === hooks.length) return 'open';
    if (count > 0 && proven.length === count) return 'moved';
    const given = await giveUpUnproven(prompts, place, judgement);
    unproven += given.count;
    return given.visit;
  });
  if (unproven > 0)
    prompts.logger.warning('webhooks in documents are dead: they have no proof that this service recorded them', {
      count: unproven,
      see: 'text2img webhooks list --state dead',
    });
  return claimed;
}

function toDue(place: WebhookPlace, { id, body, url, attempts }: WholeHook, token: string): DueWebhook {
  const promptId = promptIdText(documentIdOf(place.id));
  return { id, body, attempts, token, promptId, ...omitUndefined({ url }) };
}

interface Lease {
  readonly hook: WholeHook;
  readonly token: string;
  readonly leaseMs: number;
}

/** False: somebody else has it. */
async function lease(
  prompts: PromptsCollection,
  { id }: WebhookPlace,
  { hook, token, leaseMs }: Lease,
): Promise<boolean> {
  // When the statement is repeated, the first attempt may have taken it.
  const isOurs: Expression = {
    $or: [{ $eq: ['$$hook.due', literal(hook.due)] }, { $eq: ['$$hook.token', literal(token)] }],
  };
  const isIt: Expression = {
    $and: [
      { $eq: ['$$hook.id', literal(hook.id)] },
      { $eq: ['$$hook.proof', literal(hook.proof)] },
      { $eq: ['$$hook.state', 'pending'] },
      isOurs,
    ],
  };
  const taken: Expression = { $mergeObjects: ['$$hook', { due: fromNow(leaseMs), token: literal(token) }] };
  const holder: HookFilter = { $or: [{ due: hook.due }, { token }] };
  const filter: PromptFilter = {
    ...filterOfId(id),
    'job.hooks': { $elemMatch: { id: hook.id, proof: hook.proof, state: 'pending', ...holder } },
  };
  const update: PromptUpdate = [{ $set: { 'job.hooks': mapHooks({ $cond: [isIt, taken, '$$hook'] }) } }, SET_DUE];
  const { matchedCount } = await prompts.run(() => prompts.collection.updateOne(filter, update));
  return matchedCount === 1;
}
