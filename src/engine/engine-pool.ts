/**
 * The engines of one worker. Each is given out in slots: one that generates, and one ahead of it when the first is nearly done. The pool leaves out
 * an engine that cannot be used until a probe succeeds. While others work, the pool repeats the probe by itself, with growing pauses.
 */
import type { Text2ImgError } from '../errors/text2img-error.ts';
import { EndablePause } from '../lib/endable-pause.ts';
import type { PauseRange } from '../lib/pause.ts';
import type { Logger } from '../observability/logger.ts';
import type { EngineHost } from './engine-host.ts';
import type { EnginePool, EngineSlot, NextSlotOptions } from './pool.ts';
import { PooledEngine } from './pooled-engine.ts';

export interface LocalEnginePoolOptions {
  /** At least one. They end with the pool. */
  readonly engines: readonly EngineHost[];
  readonly logger: Logger;
  /** Between two probes of an engine that cannot be used, while others can. Default: 1 s to 60 s. */
  readonly probePauses?: PauseRange;
}

const MIN_LOOK_MS = 20;
const MAX_LOOK_MS = 1000;
const PROBE_PAUSES = { firstMs: 1000, maxMs: 60_000 };

export class LocalEnginePool implements EnginePool {
  readonly #engines: readonly PooledEngine[];
  readonly #rest = new EndablePause();

  constructor({ engines, logger, probePauses = PROBE_PAUSES }: LocalEnginePoolOptions) {
    this.#engines = engines.map((host, index) => {
      const name = `engine ${index + 1}`;
      const onOutage = (error: Text2ImgError): void => {
        // Where none is left the worker says so.
        if (this.refusal === undefined)
          logger.warning('an engine cannot be used; the others continue', { engine: name, error });
      };
      return new PooledEngine({ name, host, logger, probePauses, onOutage, onChange: () => this.#rest.end() });
    });
  }

  get size(): number {
    return this.#engines.length;
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
