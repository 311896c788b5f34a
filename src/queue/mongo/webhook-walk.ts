/**
 * Goes through the documents that a webhook is due for, the longest due first. The server lets nobody change some documents (16 MB already, or a
 * foreign validator). The walk passes over them by their place in the index, so they do not block others.
 */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { promptIdText } from '../../job/document-id.ts';
import { excerpt } from '../../lib/foreign-text.ts';
import { documentIdOf } from './bson-ids.ts';
import { ANY_DATE } from './expressions.ts';
import type { PromptsCollection } from './prompts-collection.ts';
import type { Expression, PromptFilter } from './statement-types.ts';
import type { WebhookPlace } from './webhook-place.ts';

/** Documents of one look at the index. */
const LOOK_SIZE = 200;
/** After so long what was passed over is looked at again: a refusal may have been a passing one, and others are due before it. */
const PASSED_MS = 60_000;
const MAX_SAID = 1000;
const SHOWN_ID_LENGTH = 200;

const IS_DATE: Expression = { $eq: [{ $type: '$job.hook_due' }, 'date'] };
const IS_DUE_NOW: Expression = { $and: [IS_DATE, { $lte: ['$job.hook_due', '$$NOW'] }] };

/** The result for a document: `moved`: it is not due any more. `open`: more is due in it. `stubborn`: it cannot be changed. */
export type Visit = 'moved' | 'open' | 'stubborn';

export interface WalkBounds {
  readonly isOver: () => boolean;
  /** The most looks in a row. */
  readonly looks: number;
}

type Visitor = (place: WebhookPlace) => Promise<Visit>;

export class WebhookWalk {
  /** Everything that was due until then is passed over. */
  #passed: Date | undefined;
  #passedMs = 0;
  readonly #said = new Set<string>();

  async visitAll(prompts: PromptsCollection, { isOver, looks }: WalkBounds, visit: Visitor): Promise<void> {
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

  /** Milliseconds until the next document is due, 0 if one is; undefined where none is. */
  async msUntilNext(prompts: PromptsCollection): Promise<number | undefined> {
    const filter: PromptFilter = { ...this.#notPassed(), $expr: IS_DATE };
    const found = await prompts.run(() =>
      prompts.collection.findOne(filter, {
        projection: { wait_ms: { $subtract: ['$job.hook_due', '$$NOW'] } },
        sort: { 'job.hook_due': 1 },
        ...prompts.hints.webhooks,
      }),
    );
    const waitMs = found?.['wait_ms'];
    return waitMs === undefined || waitMs === null ? undefined : Math.max(0, Number(waitMs));
  }

  #notPassed(): PromptFilter {
    if (performance.now() - this.#passedMs > PASSED_MS) this.#passed = undefined;
    return { 'job.hook_due': this.#passed === undefined ? ANY_DATE : { $gt: this.#passed } };
  }

  async #visit(prompts: PromptsCollection, place: WebhookPlace, visit: Visitor): Promise<Visit> {
    try {
      return await visit(place);
    } catch (error) {
      if (!isRefusal(error)) throw error;
      this.#say(prompts, place, error);
      return 'stubborn';
    }
  }

  async #places(prompts: PromptsCollection): Promise<readonly WebhookPlace[]> {
    const filter: PromptFilter = { ...this.#notPassed(), $expr: IS_DUE_NOW };
    const found = await prompts.run(() =>
      prompts.collection
        .find(filter, {
          projection: { _id: 1, due: '$job.hook_due' },
          sort: { 'job.hook_due': 1 },
          limit: LOOK_SIZE,
          ...prompts.hints.webhooks,
        })
        .toArray(),
    );
    // The filter asks for dates.
    return found.map(({ _id: id, due }) => ({ id, due: due as Date }));
  }

  #say({ logger }: PromptsCollection, { id }: WebhookPlace, error: Text2ImgError): void {
    const promptId = excerpt(promptIdText(documentIdOf(id)), SHOWN_ID_LENGTH);
    if (this.#said.has(promptId) || this.#said.size >= MAX_SAID) return;
    this.#said.add(promptId);
    logger.warning('the database refuses to change a document; its webhook is skipped', {
      prompt_id: promptId,
      error,
    });
  }
}

/** The server stores nothing of what we would write into the document. */
const REFUSALS: ReadonlySet<string> = new Set(['invalid_document', 'queue_refused']);

export function isRefusal(error: unknown): error is Text2ImgError {
  return error instanceof Text2ImgError && REFUSALS.has(error.code);
}
