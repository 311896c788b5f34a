/**
 * One engine of the pool: who may use it now and next, which of its models is loaded, and whether it can be used. It has one child process at a time;
 * another model is another child.
 */
import { Text2ImgError } from '../errors/text2img-error.ts';
import type { PauseRange } from '../lib/pause.ts';
import { untilAborted } from '../lib/until-aborted.ts';
import type { Logger } from '../observability/logger.ts';
import type { EngineJob, JobEvents, ResultsOf } from './engine-job.ts';
import { EngineModel, type EngineModelOptions } from './engine-model.ts';
import type { EngineSlot } from './pool.ts';
import { probeEngine } from './probe-engine.ts';
import { SlotJobs } from './slot-jobs.ts';

export interface PooledEngineOptions {
  readonly name: string;
  /** At least one; the first is loaded at first. */
  readonly models: readonly EngineModelOptions[];
  readonly logger: Logger;
  readonly probePauses: PauseRange;
  /** An engine without jobs for so long gives its memory back; absent: it keeps the model. */
  readonly idleUnloadMs?: number | undefined;
  /** Called once, when it turns out that the engine cannot be used. */
  readonly onOutage: (error: Text2ImgError) => void;
  /** The engine may be usable or idle earlier than was known. */
  readonly onChange: () => void;
}

export class PooledEngine implements AsyncDisposable {
  readonly #options: PooledEngineOptions;
  readonly #models: readonly [EngineModel, ...EngineModel[]];
  /** The one whose turn it is, then those that wait. */
  readonly #slots: Slot[] = [];
  /** Its child has the model, or will have it. */
  #current: EngineModel;
  /** No model is loaded, and none needs to be until a slot asks for one. */
  #isResting = false;
  #isStarting = false;
  /** A child that gives its memory back. */
  #unloading: Promise<void> = Promise.resolve();
  #probing: Promise<Text2ImgError | undefined> | undefined;
  /** Its jobs end with the reason that `kill` received, which says nothing about the engine. */
  readonly #killed = Promise.withResolvers<Text2ImgError>();
  #isKilled = false;
  #lastUsedMs = performance.now();

  constructor(options: PooledEngineOptions) {
    this.#options = options;
    const { logger, probePauses } = options;
    const [first, ...others] = options.models.map((model) => new EngineModel(model, logger, probePauses));
    if (first === undefined) throw new RangeError('an engine needs a model');
    this.#models = [first, ...others];
    this.#current = first;
  }

  /** In the order of the options. */
  get models(): readonly EngineModel[] {
    return this.#models;
  }

  /** Undefined: none is loaded. */
  get loaded(): EngineModel | undefined {
    return this.#isResting ? undefined : this.#current;
  }

  /** Why it cannot be used; undefined: it can, as far as is known. */
  get refusal(): Text2ImgError | undefined {
    return this.#models.some(({ outage }) => outage === undefined) ? undefined : this.#models[0].outage?.error;
  }

  /** Loads the model where one should be loaded, and tries again after a while where the engine cannot be used. */
  prepare(): void {
    if (this.refusal !== undefined) {
      if (this.#models.some(({ mayBeTried }) => mayBeTried)) void this.probe();
    } else if (this.#isResting || this.#isStarting) {
      return;
    } else if (!this.#current.host.isReady) {
      void this.#start();
    } else if (this.#isIdleForLong()) {
      this.#options.logger.info('the engine was idle and gives its memory back', { engine: this.#options.name });
      this.#rest();
    }
  }

  /** Until its last slot is released, by the estimate of its jobs; infinite where nobody knows, or it cannot be used. */
  idleInMs(): number {
    if (this.refusal !== undefined || this.#isStarting || this.#slots.length > 1) return Infinity;
    if (!this.#isResting && !this.#current.host.isReady) return Infinity;
    return this.#slots[0]?.jobs?.remainingMs() ?? (this.#slots.length === 0 ? 0 : Infinity);
  }

  /** The model must be loaded, or the engine rest. */
  slot(): EngineSlot {
    const slot = new Slot({
      engine: this.#options.name,
      loaded: () => this.loaded,
      models: () => this.#claimable(),
      maxImages: (id) => this.#model(id).maxImages,
      isUsable: () => this.refusal === undefined,
      load: (id) => this.#load(this.#model(id)),
      jobs: (events) => this.#jobs(events),
      probe: () => this.probe(),
      onRelease: () => this.#released(slot),
    });
    this.#slots.push(slot);
    this.#slots[0]?.begin();
    return slot;
  }

  /** Loads the first model that can be loaded. @throws the first one's reason, where none can */
  async start(): Promise<void> {
    for (const model of this.#models) if (model.outage === undefined && (await this.#load(model)) === undefined) return;
    throw this.refusal ?? new Text2ImgError('internal', 'the engine has no model to load.');
  }

  /** It turned out that this model cannot be had. */
  refuseModel(id: string, error: Text2ImgError): void {
    this.#refuse(this.#model(id), error);
  }

  /** Where it cannot be used, all models are tried until one can. @returns why it cannot be used @throws never */
  probe(): Promise<Text2ImgError | undefined> {
    this.#probing ??= this.#probe().finally(() => (this.#probing = undefined));
    return this.#probing;
  }

  cancel(jobId: string): void {
    for (const { jobs } of this.#slots) jobs?.cancel(jobId);
  }

  watch(jobId: string, on: boolean): void {
    for (const { host } of this.#models) host.watch(jobId, on);
  }

  remainingMs(jobId: string): number | undefined {
    return this.#models.map(({ host }) => host.remainingMs(jobId)).find((remainingMs) => remainingMs !== undefined);
  }

  kill(reason: Text2ImgError): void {
    this.#isKilled = true;
    this.#killed.resolve(reason);
    for (const { host } of this.#models) host.kill(reason);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#models.map(({ host }) => host.stop()));
  }

  #model(id: string): EngineModel {
    return this.#models.find((model) => model.id === id) ?? this.#current;
  }

  /** The loaded one first. */
  #claimable(): readonly EngineModel[] {
    const { loaded } = this;
    const usable = this.#models.filter((model) => model.mayBeTried && model !== loaded);
    return loaded === undefined || loaded.outage !== undefined ? usable : [loaded, ...usable];
  }

  #jobs(events: JobEvents): SlotJobs {
    const { host, budget } = this.#current;
    const onRefusal = (error: Text2ImgError): void => this.#refuse(this.#current, error);
    return new SlotJobs({ host, events, model: host.model, budget, onRefusal });
  }

  /** A model that was loaded before and is now unloaded, or whose child crashed, is loaded by its next job. */
  async #load(model: EngineModel): Promise<Text2ImgError | undefined> {
    this.#lastUsedMs = performance.now();
    await this.#unloading;
    if (model === this.#current && model.facts !== undefined && model.outage === undefined) {
      this.#isResting = false;
      return undefined;
    }
    try {
      // Before the loaded one makes room.
      await model.prepare();
    } catch (raw) {
      const error = Text2ImgError.from(raw);
      this.#refuse(model, error);
      return error;
    }
    if (model !== this.#current) await this.#switchTo(model);
    return this.#isKilled ? await this.#killed.promise : await this.#start();
  }

  async #switchTo(model: EngineModel): Promise<void> {
    this.#isStarting = true;
    // Nobody waits for its end once all engines are killed.
    await Promise.race([this.#current.host.unload(), this.#killed.promise]);
    this.#current = model;
    this.#isStarting = false;
  }

  /** @returns why the current model cannot be loaded */
  async #start(): Promise<Text2ImgError | undefined> {
    this.#isStarting = true;
    const model = this.#current;
    let refusal: Text2ImgError | undefined;
    try {
      await model.load();
      this.#isResting = false;
      this.#recover(model);
    } catch (error) {
      refusal = Text2ImgError.from(error);
      this.#refuse(model, refusal);
    }
    this.#isStarting = false;
    this.#lastUsedMs = performance.now();
    this.#options.onChange();
    return refusal;
  }

  async #probe(): Promise<Text2ImgError | undefined> {
    const others = this.#models.filter((model) => model !== this.#current);
    const tried = this.refusal === undefined ? [this.#current] : [this.#current, ...others];
    let first: Text2ImgError | undefined;
    for (const model of tried) {
      const error = await this.#probeModel(model);
      if (error === undefined) {
        this.#isResting = false;
        this.#recover(model);
        return undefined;
      }
      this.#refuse(model, error);
      first ??= error;
    }
    return first;
  }

  async #probeModel(model: EngineModel): Promise<Text2ImgError | undefined> {
    try {
      await model.prepare();
    } catch (error) {
      return Text2ImgError.from(error);
    }
    if (model !== this.#current) await this.#switchTo(model);
    const error = await probeEngine(model.host);
    if (error !== undefined) return error;
    try {
      // It may have been loaded for the first time.
      model.check();
      return undefined;
    } catch (misfit) {
      return Text2ImgError.from(misfit);
    }
  }

  #refuse(model: EngineModel, error: Text2ImgError): void {
    if (this.#isKilled) return;
    const { name, logger, onOutage, onChange } = this.#options;
    const wasUsable = this.refusal === undefined;
    const failures = model.refuse(error);
    const isUsable = this.refusal === undefined;
    // Its other models can be loaded when they are asked for.
    if (isUsable && model === this.#current) this.#rest();
    if (isUsable && failures === 1)
      logger.warning('a model cannot be loaded; its jobs wait, and the other models are generated', {
        engine: name,
        model: model.id,
        error,
      });
    if (wasUsable && !isUsable) onOutage(error);
    onChange();
  }

  #recover(model: EngineModel): void {
    if (!model.recover()) return;
    const { name, logger, onChange } = this.#options;
    logger.info('the engine can be used again', {
      engine: name,
      ...(this.#models.length > 1 ? { model: model.id } : {}),
    });
    onChange();
  }

  #isIdleForLong(): boolean {
    const { idleUnloadMs } = this.#options;
    return (
      idleUnloadMs !== undefined && this.#slots.length === 0 && performance.now() - this.#lastUsedMs > idleUnloadMs
    );
  }

  #rest(): void {
    this.#isResting = true;
    this.#unloading = this.#current.host.unload();
  }

  #released(slot: Slot): void {
    if (slot.jobs !== undefined) this.#lastUsedMs = performance.now();
    this.#slots.splice(this.#slots.indexOf(slot), 1);
    this.#slots[0]?.begin();
    this.#options.onChange();
  }
}

interface SlotOptions extends Pick<EngineSlot, 'engine' | 'maxImages' | 'load' | 'probe'> {
  readonly loaded: () => EngineSlot['loaded'];
  readonly models: () => EngineSlot['models'];
  readonly isUsable: () => boolean;
  readonly jobs: (events: JobEvents) => SlotJobs;
  readonly onRelease: () => void;
}

class Slot implements EngineSlot {
  readonly engine: EngineSlot['engine'];
  readonly #options: SlotOptions;
  readonly #turn = Promise.withResolvers<void>();
  #isReleased = false;
  /** Undefined: it has not begun to generate. */
  jobs: SlotJobs | undefined;

  constructor(options: SlotOptions) {
    this.engine = options.engine;
    this.#options = options;
  }

  get loaded(): EngineSlot['loaded'] {
    return this.#options.loaded();
  }

  get models(): EngineSlot['models'] {
    return this.#options.models();
  }

  maxImages(modelId: string): number {
    return this.#options.maxImages(modelId);
  }

  load(modelId: string): Promise<Text2ImgError | undefined> {
    return this.#options.load(modelId);
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
