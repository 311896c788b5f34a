/** Inserts documents all the time, and now and then does to them what users do: resets, deletes, inserts again, mangles. */
import { BSON, type Document, Long, ObjectId, UUID } from 'mongodb';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from './random.ts';
import type { Stage } from './stage/stage.ts';

/** So many open documents at most, so that the workers always have something to do and the drain is short. */
const MAX_OPEN = 60;

/** What would be sent, signed or believed if it were taken for ours. `verdict/document-verdict.ts` looks for it among the webhooks. */
export const FORGED = 'forged by an inserter';

/** Due, and later than 1970, before which nothing counts as a time of ours. */
const LONG_AGO = new Date('2001-01-01');
const FORGERIES: readonly Document[] = [
  { 'job.hooks': [{ id: FORGED, body: FORGED, state: 'pending', attempts: 0 }], 'job.hook_due': LONG_AGO },
  {
    'job.hooks': Array.from({ length: 50 }, (_, index) => ({
      id: `${FORGED} ${index}`,
      body: FORGED,
      state: 'pending',
    })),
    'job.hook_due': LONG_AGO,
  },
  { status: 'processing', job: [{ lease_until: LONG_AGO }] },
  { status: 'processing', 'job.lease_until': new Date('9999-01-01'), 'job.token': FORGED },
  { status: 'processing', 'job.lease_until': 'soon' },
  { status: 'pending', 'job.attempts': Number.NaN },
  { status: 'pending', 'job.attempts': -1_000_000 },
  { status: 'pending', 'job.attempts': 1e300, 'job.warnings': FORGED, 'job.progress': { step: FORGED } },
  { status: 'pending', 'job.resume': 'yes', 'job.owner': { name: FORGED }, 'job.last_error': 7 },
];

export class Producer {
  /** By the canonical EJSON of the `_id`. */
  readonly inserted = new Map<string, Document>();
  readonly disturbed = new Set<string>();
  /** Of them, those into which somebody wrote what only a worker writes: a finished one may be under way again, in its old run. */
  readonly forged = new Set<string>();
  readonly #stage: Stage;
  readonly #random: Random;
  #isPaused = false;
  #inserting: Promise<void> = Promise.resolve();

  constructor(stage: Stage, random: Random) {
    this.#stage = stage;
    this.#random = random;
  }

  /** Runs `action` while nothing is inserted or disturbed. */
  async whilePaused(action: () => Promise<void>): Promise<void> {
    this.#isPaused = true;
    try {
      await this.#inserting;
      await action();
    } finally {
      this.#isPaused = false;
    }
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      if (this.#isPaused) {
        await sleep(50);
        continue;
      }
      const open = await this.#stage.prompts
        .countDocuments({ status: { $in: ['pending', 'processing'] } })
        .catch(() => MAX_OPEN);
      for (let count = open; count < MAX_OPEN && !signal.aborted && !this.#isPaused; count++) {
        this.#inserting = this.#insert();
        await this.#inserting;
      }
      await sleep(50);
    }
  }

  /** A hand from outside on a document that may be anywhere on its way. */
  async disturb(kind: 'reset' | 'delete' | 'reinsert' | 'mangle' | 'forge'): Promise<void> {
    const keys = Array.from(this.inserted.keys()).slice(-200);
    const key = this.#random.pick(keys);
    const document = key === undefined ? undefined : this.inserted.get(key);
    if (key === undefined || document === undefined || this.disturbed.has(key)) return;
    const { prompts } = this.#stage;
    const filter = { _id: document['_id'] };
    if (kind === 'reset') {
      await prompts.updateOne(filter, { $set: { status: 'pending' } });
      return;
    }
    // Before it is done: it counts even where the answer is lost.
    this.disturbed.add(key);
    if (kind === 'forge') {
      this.forged.add(key);
      await prompts.updateOne(filter, { $set: this.#random.pick(FORGERIES) });
      return;
    }
    if (kind === 'mangle') {
      await prompts.updateOne(filter, {
        $set: this.#random.pick<Document>([
          { text: 5 },
          { job: 'mine now' },
          { 'job.run_id': 7 },
          { 'job.attempts': 'many' },
          { 'job.hooks': 'none' },
        ]),
      });
      // What lies in the way of a claim must be met by one.
      await prompts.updateOne(filter, { $set: { status: 'pending' } });
      return;
    }
    await prompts.deleteOne(filter);
    if (kind === 'reinsert') await prompts.insertOne({ ...document, status: 'pending' });
  }

  async #insert(): Promise<void> {
    const number = this.inserted.size;
    const document = {
      _id: this.#newId(number),
      text: this.#random.chance(0.3) ? `prompt ${number} [slow ${this.#random.below(120)}]` : `prompt ${number} $set`,
      status: 'pending',
      ...(this.#random.chance(0.1) ? { num_images: 2 } : {}),
      ...(this.#random.chance(0.2) ? { priority: this.#random.below(5) - 2 } : {}),
      ...(this.#random.chance(0.2) ? { seed: number } : {}),
      mine: { number, 'dotted.name': Long.fromNumber(number), list: [new Date(number), null] },
    };
    const key = BSON.EJSON.stringify(document._id, { relaxed: false });
    this.inserted.set(key, document);
    // Until it is surely there: after a lost answer it is met as a duplicate.
    for (;;) {
      try {
        await this.#stage.prompts.insertOne(document as never);
        return;
      } catch (error) {
        if ((error as { code?: unknown }).code === 11000) return;
        await sleep(100);
      }
    }
  }

  #newId(number: number): unknown {
    switch (this.#random.below(5)) {
      case 0:
        return `string-${number}`;
      case 1:
        return `not plain/${number}`;
      case 2:
        return new UUID();
      case 3:
        return number;
      default:
        return new ObjectId();
    }
  }
}
