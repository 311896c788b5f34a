/** The webhook outbox inside the documents: `job.hooks` holds what is owed, `job.hook_due` when to look at the document again. */
import { randomBytes } from 'node:crypto';
import type { Document } from 'mongodb';
import { promptIdText } from '../../job/document-id.ts';
import type { DeliveryOutcome, DueWebhook, WebhookOutbox, WebhookState, WebhookSummary } from '../webhook-outbox.ts';
import { documentIdOf } from './bson-ids.ts';
import { ANY_DATE, arrayAt, fromNow, literal, numberAt } from './expressions.ts';
import type { PromptsCollection } from './prompts-collection.ts';

/** So many delivered ones are kept for whoever asks. */
const KEPT_DELIVERED = 5;

const HOOKS = arrayAt('$job.hooks');

function mapHooks(each: Document): Document {
  return { $map: { input: HOOKS, as: 'hook', in: each } };
}

/** The earliest that is still owed; `$min` of an empty list is null, which `SET_DUE` turns into a missing field. */
const SET_DUE: Document = {
  $set: {
    'job.hook_due': {
      $let: {
        vars: {
          next: {
            $min: {
              $map: {
                input: { $filter: { input: HOOKS, as: 'hook', cond: { $eq: ['$$hook.state', 'pending'] } } },
                as: 'hook',
                in: '$$hook.due',
              },
            },
          },
        },
        in: { $ifNull: ['$$next', '$$REMOVE'] },
      },
    },
  },
};

const TRIM_DELIVERED: Document = {
  $set: {
    'job.hooks': {
      $concatArrays: [
        {
          $slice: [
            { $filter: { input: HOOKS, as: 'hook', cond: { $eq: ['$$hook.state', 'delivered'] } } },
            -KEPT_DELIVERED,
          ],
        },
        { $filter: { input: HOOKS, as: 'hook', cond: { $ne: ['$$hook.state', 'delivered'] } } },
      ],
    },
  },
};

const IS_DUE_WITHOUT_URL: Document = {
  $and: [
    { $eq: ['$$hook.state', 'pending'] },
    { $lte: ['$$hook.due', '$$NOW'] },
    { $ne: [{ $type: '$$hook.url' }, 'string'] },
  ],
};

const DUE_WITHOUT_URL: Document = {
  'job.hook_due': ANY_DATE,
  'job.hooks': { $elemMatch: { state: 'pending', url: { $exists: false } } },
  $expr: { $lte: ['$job.hook_due', '$$NOW'] },
};

function closed(error: string): Document {
  return { $mergeObjects: ['$$hook', { state: 'dead', error: literal(error), token: null }] };
}

export class MongoOutbox implements WebhookOutbox {
  readonly #open: () => Promise<PromptsCollection>;

  constructor(open: () => Promise<PromptsCollection>) {
    this.#open = open;
  }

  async claimDue({
    limit,
    leaseMs,
  }: {
    readonly limit: number;
    readonly leaseMs: number;
  }): Promise<readonly DueWebhook[]> {
    const prompts = await this.#open();
    const due: DueWebhook[] = [];
    while (due.length < limit) {
      const token = randomBytes(12).toString('hex');
      const isDue = { $and: [{ $eq: ['$$hook.state', 'pending'] }, { $lte: ['$$hook.due', '$$NOW'] }] };
      const claimed = { $mergeObjects: ['$$hook', { due: fromNow(leaseMs), token: literal(token) }] };
      const document = await prompts.run(() =>
        prompts.collection.findOneAndUpdate(
          { 'job.hook_due': ANY_DATE, $expr: { $lte: ['$job.hook_due', '$$NOW'] } },
          [{ $set: { 'job.hooks': mapHooks({ $cond: [isDue, claimed, '$$hook'] }) } }, SET_DUE] as never,
          {
            sort: { 'job.hook_due': 1 },
            projection: { 'job.hooks': 1 },
            returnDocument: 'after',
            includeResultMetadata: false,
            ...prompts.hints.webhooks,
          },
        ),
      );
      if (document === null) break;
      due.push(
        ...hooksOf(document)
          .filter((hook) => hook['token'] === token)
          .map((hook) => toDue(document, hook)),
      );
    }
    return due;
  }

  async record(webhook: DueWebhook, outcome: DeliveryOutcome): Promise<'done' | 'lost'> {
    const prompts = await this.#open();
    const { id, token } = webhook;
    const changes: Document =
      outcome.kind === 'delivered'
        ? { state: 'delivered', delivered_at: '$$NOW' }
        : outcome.kind === 'dead'
          ? { state: 'dead', error: literal(outcome.error) }
          : { due: fromNow(outcome.delayMs), error: literal(outcome.error) };
    const tries = outcome.kind === 'postpone' ? 0 : 1;
    const tried = { attempts: { $add: [numberAt('$$hook.attempts'), tries] }, token: literal(null) };
    // Delivered is delivered, whoever holds it now.
    const holder = outcome.kind === 'delivered' ? {} : { token };
    const isIt = { $and: [{ $eq: ['$$hook.id', literal(id)] }, { $eq: ['$$hook.state', 'pending'] }] };
    const pipeline = [
      { $set: { 'job.hooks': mapHooks({ $cond: [isIt, { $mergeObjects: ['$$hook', tried, changes] }, '$$hook'] }) } },
      SET_DUE,
      TRIM_DELIVERED,
    ];
    const filter = { 'job.hook_due': ANY_DATE, 'job.hooks': { $elemMatch: { id, state: 'pending', ...holder } } };
    // By the index of what is owed, not by `_id`: the token may be all that names the document.
    const { matchedCount } = await prompts.run(() =>
      prompts.collection.updateOne(filter as never, pipeline as never, { ...prompts.hints.webhooks }),
    );
    return matchedCount === 1 ? 'done' : 'lost';
  }

  async closeWithoutUrl(error: string): Promise<number> {
    const prompts = await this.#open();
    const { modifiedCount } = await prompts.run(() =>
      prompts.collection.updateMany(
        DUE_WITHOUT_URL as never,
        [
          { $set: { 'job.hooks': mapHooks({ $cond: [IS_DUE_WITHOUT_URL, closed(error), '$$hook'] }) } },
          SET_DUE,
        ] as never,
        { ...prompts.hints.webhooks },
      ),
    );
    return modifiedCount;
  }

  async list({
    state,
    limit,
  }: {
    readonly state?: WebhookState;
    readonly limit: number;
  }): Promise<readonly WebhookSummary[]> {
    const prompts = await this.#open();
    const filter = state === undefined ? { 'job.hooks.0': { $exists: true } } : { 'job.hooks.state': state };
    const documents = await prompts.run(() =>
      prompts.collection.find(filter as never, { projection: { 'job.hooks': 1 }, sort: { _id: -1 }, limit }).toArray(),
    );
    return documents
      .flatMap((document) => hooksOf(document).map((hook) => toSummary(document, hook)))
      .filter((summary) => state === undefined || summary.state === state)
      .slice(0, limit);
  }

  async redrive(id?: string): Promise<number> {
    const prompts = await this.#open();
    const wanted = id === undefined ? { state: 'dead' } : { id, state: 'dead' };
    const isDead = {
      $and: [{ $eq: ['$$hook.state', 'dead'] }, ...(id === undefined ? [] : [{ $eq: ['$$hook.id', literal(id)] }])],
    };
    const again = { $mergeObjects: ['$$hook', { state: 'pending', attempts: 0, due: '$$NOW' }] };
    const documents = await prompts.run(() =>
      prompts.collection
        .find({ 'job.hooks': { $elemMatch: wanted } } as never, { projection: { 'job.hooks': 1 } })
        .toArray(),
    );
    const dead = documents
      .flatMap(hooksOf)
      .filter((hook) => hook['state'] === 'dead' && (id === undefined || hook['id'] === id));
    await prompts.run(() =>
      prompts.collection.updateMany({ 'job.hooks': { $elemMatch: wanted } }, [
        { $set: { 'job.hooks': mapHooks({ $cond: [isDead, again, '$$hook'] }) } },
        SET_DUE,
      ] as never),
    );
    return dead.length;
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
    const prompts = await this.#open();
    const found = await prompts.run(() =>
      prompts.collection.findOne({ 'job.hook_due': ANY_DATE } as never, {
        projection: { wait_ms: { $subtract: ['$job.hook_due', '$$NOW'] } },
        sort: { 'job.hook_due': 1 },
        ...prompts.hints.webhooks,
      }),
    );
    const waitMs = found?.['wait_ms'];
    return waitMs === undefined || waitMs === null ? undefined : Math.max(0, Number(waitMs));
  }
}

function hooksOf(document: Document): Document[] {
  const hooks: unknown = document['job']?.hooks;
  return Array.isArray(hooks) ? hooks.filter((hook) => typeof hook === 'object' && hook !== null) : [];
}

function toDue(document: Document, hook: Document): DueWebhook {
  const { id, body, url, attempts, token } = hook;
  return {
    promptId: promptIdText(documentIdOf(document['_id'])),
    id: String(id),
    body: String(body),
    attempts: Number(attempts),
    token: String(token),
    ...(typeof url === 'string' ? { url } : {}),
  };
}

function toSummary(document: Document, hook: Document): WebhookSummary {
  const { id, state, attempts, url, due, delivered_at: deliveredAt, error } = hook;
  return {
    id: String(id),
    promptId: promptIdText(documentIdOf(document['_id'])),
    state: state as WebhookState,
    attempts: Number(attempts),
    ...(typeof url === 'string' ? { url } : {}),
    ...(due instanceof Date && state === 'pending' ? { dueAt: due } : {}),
    ...(deliveredAt instanceof Date ? { deliveredAt } : {}),
    ...(typeof error === 'string' ? { error } : {}),
  };
}
