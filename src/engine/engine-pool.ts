/**
 * The engines of one worker. Each is given out in slots: one that generates, and one ahead of it when the first is nearly done. The pool leaves out
 * an engine that cannot be used until a probe succeeds. While others work, the pool repeats the probe by itself, with growing pauses.
 */
import type { Text2ImgError } from '../errors/text2img-error.ts';
import { EndablePause } from '../lib/endable-pause.ts';
import type { PauseRange } from '../lib/pause.ts';
import type { Logger } from '../observability/logger.ts';
import type { EngineModelOptions } from './engine-model.ts';
import type { EnginePool, EngineSlot, ModelOutage, NextSlotOptions, PoolModel } from './pool.ts';
import { PooledEngine } from './pooled-engine.ts';

export interface LocalEnginePoolOptions {
  /** At least one. Each has at least one model. */
  readonly engines: readonly (readonly EngineModelOptions[])[];
  readonly logger: Logger;
  /** Between two probes of an engine that cannot be used, while others can. Default: 1 s to 60 s. */
  readonly probePauses?: PauseRange;
  /** An engine without jobs for so long gives its memory back; absent: it keeps the model. */
  readonly idleUnloadMs?: number | undefined;
}

const MIN_LOOK_MS = 20;
const MAX_LOOK_MS = 1000;
const PROBE_PAUSES = { firstMs: 1000, maxMs: 60_000 };

export class LocalEnginePool implements EnginePool {
  readonly #engines: readonly PooledEngine[];
  readonly #rest = new EndablePause();

  constructor({ engines, logger, probePauses = PROBE_PAUSES, idleUnloadMs }: LocalEnginePoolOptions) {
    this.#engines = engines.map((models, index) => {
      const name = `engine ${index + 1}`;
      const onOutage = (error: Text2ImgError): void => {
        // Where none is left the worker says so.
        if (this.refusal === undefined)
          logger.warning('an engine cannot be used; the others continue', { engine: name, error });
      };
      const onChange = (): void => this.#rest.end();
      return new PooledEngine({ name, models, logger, probePauses, idleUnloadMs, onOutage, onChange });
    });
  }

  /** Loads a model into each engine: the first that it can load. @throws the first one's reason, where an engine can load none */
  async start(): Promise<void> {
    await Promise.all(this.#engines.map((engine) => engine.start()));
  }

  /** It turned out that no engine can have this model. It is tried again for its documents. */
  refuseModel(id: string, error: Text2ImgError): void {
    for (const engine of this.#engines) engine.refuseModel(id, error);
  }

  get size(): number {
    return this.#engines.length;
  }

  get models(): readonly PoolModel[] {
    const [first] = this.#engines;
    return (first?.models ?? []).flatMap(({ id }) => this.#usable(id) ?? []);
  }

  get loadedModel(): string | undefined {
    return this.#engines[0]?.loaded?.id;
  }

  get modelsOut(): readonly ModelOutage[] {
    const [first] = this.#engines;
    return (first?.models ?? []).flatMap(({ id, takesUnnamed, outage }) =>
      outage === undefined || this.#usable(id) !== undefined
        ? []
        : { id, takesUnnamed, error: outage.error, sinceMs: outage.sinceMs },
    );
  }

  async nextSlot({ leadMs, signal }: NextSlotOptions): Promise<EngineSlot | undefined> {
    while (!signal.aborted) {
      const { refusal } = this;
      if (refusal !== undefined) throw refusal;
      for (const engine of this.#engines) engine.prepare();
      // The first to be idle; of two that are idle the first of the pool.
      const [next] = this.#engines.toSorted((a, b) => a.idleInMs() - b.idleInMs());
      const idleInMs = next?.idleInMs() ?? Infinity;
      if (next !== undefined && idleInMs <= leadMs) return next.slot();
      // Estimates come true by themselves, so there is another look after a while.
      await this.#rest.pause(Math.min(MAX_LOOK_MS, Math.max(MIN_LOOK_MS, idleInMs - leadMs)), signal);
    }
    return undefined;
  }

  /** Of each engine, in their order: why it cannot be used, undefined where it can. */
  get refusals(): readonly (Text2ImgError | undefined)[] {
    return this.#engines.map((engine) => engine.refusal);
  }

  get refusal(): Text2ImgError | undefined {
    const { refusals } = this;
    return refusals.includes(undefined) ? undefined : refusals[0];
  }

  /** Of an engine that has it loaded, or can load it; with the facts of one that did. */
  #usable(id: string): PoolModel | undefined {
    const models = this.#engines.flatMap(({ models: all }) => all.filter((model) => model.id === id));
    const usable = models.filter(({ outage }) => outage === undefined);
    return usable.find(({ facts }) => facts !== undefined) ?? usable[0];
  }

  async probe(): Promise<void> {
    if (this.refusal === undefined) return;
    await Promise.all(this.#engines.map((engine) => engine.probe()));
    const { refusal } = this;
    if (refusal !== undefined) throw refusal;
  }

  cancel(jobId: string): void {
    for (const engine of this.#engines) engine.cancel(jobId);
  }

  watch(jobId: string, on: boolean): void {
    for (const engine of this.#engines) engine.watch(jobId, on);
  }

  remainingMs(jobId: string): number | undefined {
    return this.#engines.map((engine) => engine.remainingMs(jobId)).find((remainingMs) => remainingMs !== undefined);
  }

  kill(reason: Text2ImgError): void {
    for (const engine of this.#engines) engine.kill(reason);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#engines.map((engine) => engine[Symbol.asyncDispose]()));
  }
}
