/**
 * The webhook outbox inside the documents: `job.hooks` holds what is owed, `job.hook_due` when to look at the document again. Sent is only what
 * carries the service's proof (`webhook-proof.ts`); what does not is given up, and an operator may send it by its id.
 */
import type { Document } from 'mongodb';
import { promptIdText } from '../../job/document-id.ts';
import { cut } from '../../lib/foreign-text.ts';
import type { HookRecord } from '../job-record.ts';
import type { DeliveryOutcome, DueWebhook, WebhookOutbox, WebhookState, WebhookSummary } from '../webhook-outbox.ts';
import { documentIdOf } from './bson-ids.ts';
import { fromNow, literal, numberAt } from './expressions.ts';
import { HOOKS, IS_DUE, isOwed, mapHooks, SET_DUE, TRIM_DELIVERED } from './hook-expressions.ts';
import { hooksIn } from './hooks-in.ts';
import type { PromptsCollection } from './prompts-collection.ts';
import { redrive } from './redrive.ts';
import { WebhookWalk } from './webhook-walk.ts';

const MAX_SHOWN_ERROR_LENGTH = 500;

const IS_DUE_WITHOUT_URL: Document = { $and: [IS_DUE, { $ne: [{ $type: '$$hook.url' }, 'string'] }] };

type Opener = (options?: { readonly signal?: AbortSignal | undefined }) => Promise<PromptsCollection>;

export class MongoOutbox implements WebhookOutbox {
  readonly #open: Opener;
  readonly #walk = new WebhookWalk();

  constructor(open: Opener) {
    this.#open = open;
  }

  async claimDue(options: Parameters<WebhookOutbox['claimDue']>[0]): Promise<readonly DueWebhook[]> {
    return this.#walk.take(await this.#open(options), options);
  }

  async record(webhook: DueWebhook, outcome: DeliveryOutcome): Promise<'done' | 'lost'> {
    const prompts = await this.#open();
    const { id, token } = webhook;
    const changes: Document =
      outcome.kind === 'delivered'
        ? { state: 'delivered', delivered_at: '$$NOW' }
        : outcome.kind === 'dead'
          ? { state: 'dead', error: literal(shown(outcome.error)) }
          : { due: fromNow(outcome.delayMs), error: literal(shown(outcome.error)) };
    const tries = outcome.kind === 'postpone' ? 0 : 1;
    const tried = { attempts: { $add: [numberAt('$$hook.attempts'), tries] }, token: literal(null) };
    // Delivered is delivered, whoever holds it now.
    const holder = outcome.kind === 'delivered' ? {} : { token };
    const isIt = isOwed(id);
    const pipeline = [
      { $set: { 'job.hooks': mapHooks({ $cond: [isIt, { $mergeObjects: ['$$hook', tried, changes] }, '$$hook'] }) } },
      SET_DUE,
      TRIM_DELIVERED,
    ];
    const filter = {
      ...this.#walk.filterOf(webhook),
      'job.hooks': { $elemMatch: { id, state: 'pending', ...holder } },
    };
    const { matchedCount } = await prompts.run(() => prompts.collection.updateOne(filter as never, pipeline as never));
    return matchedCount === 1 ? 'done' : 'lost';
  }

  async closeWithoutUrl(error: string): Promise<number> {
    return this.#walk.giveUp(await this.#open(), IS_DUE_WITHOUT_URL, error);
  }

  async list({ state, limit }: Parameters<WebhookOutbox['list']>[0]): Promise<readonly WebhookSummary[]> {
    const prompts = await this.#open();
    const filter = state === undefined ? { 'job.hooks.0': { $exists: true } } : { 'job.hooks.state': state };
    return prompts.run(async () => {
      const found: WebhookSummary[] = [];
      // One after the other: a document may have 16 MB.
      const documents = prompts.collection.find(filter as never, { projection: { 'job.hooks': 1 }, sort: { _id: -1 } });
      for await (const document of documents.batchSize(LIST_BATCH)) {
        const promptId = promptIdText(documentIdOf(document['_id']));
        for (const hook of hooksIn(document))
          if (found.length < limit && (state === undefined || hook.state === state))
            found.push(toSummary(promptId, hook));
        if (found.length >= limit) break;
      }
      return found;
    });
  }

  async redrive(id?: string): Promise<number> {
    return redrive(await this.#open(), id);
  }

  async counts(): Promise<{ readonly pending: number; readonly dead: number }> {
    const prompts = await this.#open();
    const count = (match: Document, state: WebhookState, hint: { readonly hint?: Document } = {}): Promise<number> =>
      prompts.run(async () => {
        const pipeline = [
          { $match: match },
          {
            $project: {
              n: { $size: { $filter: { input: HOOKS, as: 'hook', cond: { $eq: ['$$hook.state', state] } } } },
            },
          },
          { $group: { _id: null, n: { $sum: '$n' } } },
        ];
        const [sum] = await prompts.collection.aggregate<{ n: number }>(pipeline, { ...hint }).toArray();
        return sum?.n ?? 0;
      });
    const [pending, dead] = await Promise.all([
      count({ 'job.hook_due': { $exists: true } }, 'pending', prompts.hints.webhooks),
      count({ 'job.hooks.state': 'dead' }, 'dead'),
    ]);
    return { pending, dead };
  }

  async msUntilNextDue(): Promise<number | undefined> {
    return this.#walk.msUntilNext(await this.#open());
  }
}

/** Documents with long bodies are many megabytes. */
const LIST_BATCH = 20;

function toSummary(promptId: string, hook: HookRecord): WebhookSummary {
  const { id, state, attempts, url, due, deliveredAt, error } = hook;
  return {
    id,
    promptId,
    state,
    attempts,
    ...(url === undefined ? {} : { url }),
    ...(due !== undefined && state === 'pending' ? { dueAt: due } : {}),
    ...(deliveredAt === undefined ? {} : { deliveredAt }),
    ...(error === undefined ? {} : { error }),
  };
}

function shown(error: string): string {
  return cut(error, MAX_SHOWN_ERROR_LENGTH);
}
