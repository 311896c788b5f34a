/** One engine of the pool: who may use it now and next, how much fits into its memory, and whether it can be used. */
import type { Text2ImgError } from '../errors/text2img-error.ts';
import { growingPauseMs, type PauseRange } from '../lib/pause.ts';
import { untilAborted } from '../lib/until-aborted.ts';
import type { Logger } from '../observability/logger.ts';
import { BatchBudget } from './batch-budget.ts';
import type { EngineHost } from './engine-host.ts';
import type { EngineJob, JobEvents, ResultsOf } from './engine-job.ts';
import type { EngineSlot } from './pool.ts';
import { probeEngine } from './probe-engine.ts';
import { SlotJobs } from './slot-jobs.ts';

export interface PooledEngineOptions {
  readonly name: string;
  readonly host: EngineHost;
  readonly logger: Logger;
  readonly probePauses: PauseRange;
  /** Called once, when it turns out that the engine cannot be used. */
  readonly onOutage: (error: Text2ImgError) => void;
  /** The engine may be usable or idle earlier than was known. */
  readonly onChange: () => void;
}

/** It cannot be used. */
interface Outage {
  readonly error: Text2ImgError;
  readonly failures: number;
  readonly nextProbeMs: number;
}

export class PooledEngine implements AsyncDisposable {
  readonly #options: PooledEngineOptions;
  readonly #budget: BatchBudget;
  /** The one whose turn it is, then those that wait. */
  readonly #slots: Slot[] = [];
  #outage: Outage | undefined;
  #isStarting = false;
  #probing: Promise<Text2ImgError | undefined> | undefined;
  /** Its jobs end with the reason that `kill` received, which says nothing about the engine. */
  #isKilled = false;

  constructor(options: PooledEngineOptions) {
    this.#options = options;
    this.#budget = new BatchBudget(options.logger);
  }

  /** Why it cannot be used; undefined: it can, as far as is known. */
  get refusal(): Text2ImgError | undefined {
    return this.#outage?.error;
  }

  /** Loads the model where it is not loaded, and tries again after a while where it cannot be used. */
  prepare(): void {
    if (this.#outage !== undefined) {
      if (performance.now() >= this.#outage.nextProbeMs) void this.probe();
    } else if (!this.#options.host.isReady && !this.#isStarting) {
      void this.#start();
    }
  }

  /** Until its last slot is released, by the estimate of its jobs; infinite where nobody knows, or it cannot be used. */
  idleInMs(): number {
    if (this.#outage !== undefined || !this.#options.host.isReady || this.#slots.length > 1) return Infinity;
    return this.#slots[0]?.jobs?.remainingMs() ?? (this.#slots.length === 0 ? 0 : Infinity);
  }

  /** The model must be loaded. */
  slot(): EngineSlot {
    const { name, host } = this.#options;
    const { model } = host;
    const slot = new Slot({
      engine: name,
      models: () => [host.model],
      maxImages: this.#budget.imagesPerPass(model, model.defaultWidthPx * model.defaultHeightPx),
      isUsable: () => this.#outage === undefined,
      jobs: (events) =>
        new SlotJobs({ host, events, model, budget: this.#budget, onRefusal: (error) => this.#refuse(error) }),
      probe: () => this.probe(),
      onRelease: () => this.#released(slot),
    });
    this.#slots.push(slot);
    this.#slots[0]?.begin();
    return slot;
  }

  /** @returns why it cannot be used @throws never */
  probe(): Promise<Text2ImgError | undefined> {
    this.#probing ??= probeEngine(this.#options.host).then((error) => {
      this.#probing = undefined;
      if (error === undefined) this.#recover();
      else this.#refuse(error);
      return error;
    });
    return this.#probing;
  }

  cancel(jobId: string): void {
    for (const { jobs } of this.#slots) jobs?.cancel(jobId);
  }

  watch(jobId: string, on: boolean): void {
    this.#options.host.watch(jobId, on);
  }

  remainingMs(jobId: string): number | undefined {
    return this.#options.host.remainingMs(jobId);
  }

  kill(reason: Text2ImgError): void {
    this.#isKilled = true;
    this.#options.host.kill(reason);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#options.host.stop();
  }

  async #start(): Promise<void> {
    this.#isStarting = true;
    try {
      await this.#options.host.start();
    } catch (error) {
      this.#refuse(error as Text2ImgError);
    }
    this.#isStarting = false;
    this.#options.onChange();
  }

  #refuse(error: Text2ImgError): void {
    if (this.#isKilled) return;
    const { probePauses, onOutage, onChange } = this.#options;
    const failures = (this.#outage?.failures ?? 0) + 1;
    this.#outage = { error, failures, nextProbeMs: performance.now() + growingPauseMs(failures, probePauses) };
    if (failures === 1) onOutage(error);
    onChange();
  }

  #recover(): void {
    if (this.#outage === undefined) return;
    this.#outage = undefined;
    this.#options.logger.info('the engine can be used again', { engine: this.#options.name });
    this.#options.onChange();
  }

  #released(slot: Slot): void {
    this.#slots.splice(this.#slots.indexOf(slot), 1);
    this.#slots[0]?.begin();
    this.#options.onChange();
  }
}

interface SlotOptions extends Pick<EngineSlot, 'engine' | 'maxImages' | 'probe'> {
  /** Facts may become known after the load, such as the model's hash. */
  readonly models: () => EngineSlot['models'];
  readonly isUsable: () => boolean;
  readonly jobs: (events: JobEvents) => SlotJobs;
  readonly onRelease: () => void;
}

class Slot implements EngineSlot {
  readonly engine: EngineSlot['engine'];
  readonly maxImages: number;
  readonly #options: SlotOptions;
  readonly #turn = Promise.withResolvers<void>();
  #isReleased = false;
  /** Undefined: it has not begun to generate. */
  jobs: SlotJobs | undefined;

  constructor(options: SlotOptions) {
    this.engine = options.engine;
    this.maxImages = options.maxImages;
    this.#options = options;
  }

  get models(): EngineSlot['models'] {
    return this.#options.models();
  }

  /** It is this slot's turn. */
  begin(): void {
    this.#turn.resolve();
  }

  async turn(signal: AbortSignal): Promise<boolean> {
    const hasCome = await untilAborted(
      this.#turn.promise.then(() => true),
      signal,
    );
    return hasCome === true && this.#options.isUsable();
  }

  generate<const Jobs extends readonly EngineJob[]>(jobs: Jobs, events: JobEvents = {}): ResultsOf<Jobs> {
    this.jobs = this.#options.jobs(events);
    return this.jobs.generate(jobs);
  }

  probe(): Promise<Text2ImgError | undefined> {
    return this.#options.probe();
  }

  release(): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    this.#options.onRelease();
  }

  [Symbol.dispose](): void {
    this.release();
  }
}
