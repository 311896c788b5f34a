/**
 * Decides for which model an engine claims. Loading takes seconds to minutes, so the loaded model stays while it has documents. While another one waits,
 * it stays for no more than 20 documents or 60 seconds.
 */
import type { EngineSlot, PoolModel } from '../engine/pool.ts';
import type { ClaimedPrompt } from '../queue/prompt-queue.ts';

/** Claims at most so many documents for these models. */
type ClaimFor<Job> = (models: readonly PoolModel[], limit: number) => Promise<readonly Job[]>;

/** Jobs for one model. */
interface Turn<Job> {
  readonly model: PoolModel;
  /** None: nothing waits that the engine can generate. */
  readonly jobs: readonly Job[];
}

type Slot = Pick<EngineSlot, 'engine' | 'loaded' | 'models' | 'maxImages'>;

/** A claimed job. */
interface WithClaim {
  readonly claim: Pick<ClaimedPrompt, 'model'>;
}

/** Since the model was loaded, or since nothing else waited. */
interface Stay {
  readonly modelId: string;
  readonly sinceMs: number;
  documents: number;
}

const MOST_DOCUMENTS = 20;
const LONGEST_MS = 60_000;

export class ModelTurns {
  /** By engine. */
  readonly #stays = new Map<string, Stay>();
  readonly #now: () => number;

  /** @param now a monotonic clock */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** @returns undefined where the slot has no model @throws what claiming throws */
  async claim<Job extends WithClaim>(slot: Slot, claimFor: ClaimFor<Job>): Promise<Turn<Job> | undefined> {
    const { loaded } = slot;
    const isIn = slot.models.some(({ id }) => id === loaded?.id);
    const others = slot.models.filter(({ id }) => id !== loaded?.id);
    if (loaded === undefined || !isIn) return await this.#claimOther(slot, others, claimFor);
    const stay = this.#stayOf(slot.engine, loaded.id);
    const isOver = others.length > 0 && this.#isOver(stay);
    if (isOver) {
      const turn = await this.#claimOther(slot, others, claimFor);
      if (turn !== undefined && turn.jobs.length > 0) return turn;
    }
    const current = isOver ? this.#begin(slot.engine, loaded.id) : stay;
    const room = others.length > 0 ? MOST_DOCUMENTS - current.documents : Infinity;
    const jobs = await claimFor([loaded], Math.min(slot.maxImages(loaded.id), room));
    current.documents += jobs.length;
    if (jobs.length > 0 || isOver || others.length === 0) return { model: loaded, jobs };
    return await this.#claimOther(slot, others, claimFor);
  }

  /** The first document says which model; more for the same follow. A model that was never loaded gets one, because nobody knows what fits. */
  async #claimOther<Job extends WithClaim>(
    slot: Slot,
    others: readonly PoolModel[],
    claimFor: ClaimFor<Job>,
  ): Promise<Turn<Job> | undefined> {
    const [first] = others.length === 0 ? [] : await claimFor(others, 1);
    const [anyModel] = others;
    if (first === undefined) return anyModel && { model: anyModel, jobs: [] };
    const { model: named } = first.claim;
    const model = others.find(({ id, takesUnnamed }) => (named === undefined ? takesUnnamed : id === named));
    if (model === undefined) throw new RangeError('the queue gave a document of a model that was not asked for');
    const room = slot.maxImages(model.id) - 1;
    // An error comes again at the next claim; the first document is claimed already.
    const more = room > 0 ? await claimFor([model], room).catch(() => []) : [];
    this.#begin(slot.engine, model.id).documents = 1 + more.length;
    return { model, jobs: [first, ...more] };
  }

  #isOver({ documents, sinceMs }: Stay): boolean {
    return documents >= MOST_DOCUMENTS || this.#now() - sinceMs >= LONGEST_MS;
  }

  #stayOf(engine: string, modelId: string): Stay {
    const stay = this.#stays.get(engine);
    return stay?.modelId === modelId ? stay : this.#begin(engine, modelId);
  }

  #begin(engine: string, modelId: string): Stay {
    const stay = { modelId, sinceMs: this.#now(), documents: 0 };
    this.#stays.set(engine, stay);
    return stay;
  }
}
