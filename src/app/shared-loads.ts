/**
 * Loads several models in engines that share a CPU. A model's runtime is the same in all of them, because an image must
 * not depend on its engine. They load one after the other, so that each sees the memory that the others have taken.
 */
import type { EngineHost } from '../engine/engine-host.ts';
import type { EngineSettings } from '../engine/protocol.ts';
import { omitUndefined } from '../lib/omit-undefined.ts';

type ModelFacts = EngineHost['model'];
type Shared = Partial<Pick<EngineSettings, 'sharers' | 'lowMemory' | 'runtime' | 'runtimeReason'>>;

export class SharedLoads {
  readonly #engines: number;
  /** By model: of the first engine that loaded it. */
  readonly #decided = new Map<string, Shared>();
  #turn: Promise<void> = Promise.resolve();
  /** Until each engine has its first model. All of them may have the same one then, so its memory is judged for all. */
  #isStarting = true;

  /** @param engines how many share the CPU */
  constructor(engines: number) {
    this.#engines = engines;
  }

  /** For a child that loads the model now. */
  settingsFor(modelId: string): Shared {
    const { runtime, runtimeReason, lowMemory } = this.#decided.get(modelId) ?? {};
    const pinned = omitUndefined({ runtime, runtimeReason });
    return this.#isStarting ? { sharers: this.#engines, ...omitUndefined({ lowMemory }), ...pinned } : pinned;
  }

  /** At the start the first engine fills the compile cache; the others follow together. @throws what `start` throws */
  async load(
    modelId: string,
    start: () => Promise<ModelFacts>,
    check: (facts: ModelFacts) => void,
  ): Promise<ModelFacts> {
    const before = this.#turn;
    const turn = Promise.withResolvers<void>();
    this.#turn = turn.promise;
    await before;
    try {
      if (this.#isStarting && this.#decided.has(modelId)) {
        turn.resolve();
        return await start();
      }
      const facts = await start();
      check(facts);
      if (!this.#decided.has(modelId)) this.#decided.set(modelId, decidedBy(facts));
      return facts;
    } finally {
      turn.resolve();
    }
  }

  started(): void {
    this.#isStarting = false;
  }
}

function decidedBy({ lowMemory, runtime, runtimeReason }: ModelFacts): Shared {
  return { lowMemory: lowMemory === true ? 'on' : 'off', ...omitUndefined({ runtime, runtimeReason }) };
}
