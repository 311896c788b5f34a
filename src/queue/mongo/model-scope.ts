/** The documents that a worker claims, and the walks that belong to them. A worker changes its models seldom, so a few are kept. */
import type { ModelSelection } from '../prompt-queue.ts';
import type { PromptsCollection, Walks } from './prompts-collection.ts';
import type { PromptFilter } from './statement-types.ts';
import { Walk } from './walk.ts';
import { endedPlan, farPlan, pendingPlan } from './walk-plans.ts';

const MOST_KEPT = 8;

type ScopedPart = Pick<PromptsCollection, 'walks' | 'scope' | 'models'>;

export class ModelScopes {
  readonly #maxAttempts: number;
  /** Every worker ends jobs without attempts, of any model. */
  readonly #dead: Walk;
  readonly #kept = new Map<string, ScopedPart>();

  constructor(maxAttempts: number) {
    this.#maxAttempts = maxAttempts;
    this.#dead = new Walk(endedPlan((attempts) => attempts >= maxAttempts, {}));
  }

  of(models: ModelSelection | undefined): ScopedPart {
    const key = models === undefined ? '' : JSON.stringify([models.takesUnnamed, ...models.named]);
    const part = this.#kept.get(key) ?? this.#make(models);
    // The one that was used last is the last one.
    this.#kept.delete(key);
    this.#kept.set(key, part);
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > MOST_KEPT && oldest !== undefined) this.#kept.delete(oldest);
    return part;
  }

  #make(models: ModelSelection | undefined): ScopedPart {
    const hasAttempts = (attempts: number): boolean => attempts < this.#maxAttempts;
    const scope: PromptFilter = models === undefined ? {} : { 'job.model': { $in: valuesOf(models) } };
    const hint = models === undefined ? 'pending' : 'models';
    const walks: Walks = {
      pending: new Walk(pendingPlan({ filter: scope, hint, hasLists: models?.takesUnnamed === true })),
      ended: new Walk(endedPlan(hasAttempts, scope)),
      far: new Walk(farPlan(hasAttempts, scope)),
      dead: this.#dead,
    };
    return { walks, scope, models: models === undefined ? [] : valuesOf(models) };
  }
}

/** As `job.model` has them: documents that name none match null. */
export function valuesOf({ named, takesUnnamed }: ModelSelection): readonly (string | null)[] {
  return takesUnnamed ? [...named, null] : named;
}
