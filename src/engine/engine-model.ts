/** One model of one engine: its child process, how much fits into its memory, and whether it can be loaded. */
import type { Text2ImgError } from '../errors/text2img-error.ts';
import { growingPauseMs, type PauseRange } from '../lib/pause.ts';
import type { ModelFacts } from '../job/model-facts.ts';
import type { Logger } from '../observability/logger.ts';
import { BatchBudget } from './batch-budget.ts';
import type { EngineHost } from './engine-host.ts';
import type { PoolModel } from './pool.ts';

/** A model of an engine, for the pool. */
export interface EngineModelOptions {
  /** The name under which documents ask for it. */
  readonly id: string;
  /** Documents that name no model are for it. */
  readonly takesUnnamed: boolean;
  /** Its child has the model. It ends with the pool. */
  readonly host: EngineHost;
  /** Called before each load: finds the files. @throws why they cannot be had */
  readonly prepare?: () => Promise<void>;
  /** Looks at what loading found out. @throws why the operator's settings do not fit it: the model is left out */
  readonly check?: (facts: ModelFacts) => void;
  /** Makes the child load; in turn with other engines, where they share what a load decides by. Default: at once. */
  readonly load?: (start: () => Promise<ModelFacts>) => Promise<ModelFacts>;
  /** Where limits of its passes are kept; absent or null: nowhere. */
  readonly limitsFolder?: string | null;
  /** Called after each load. */
  readonly onLoaded?: (facts: ModelFacts) => void;
}

/** It cannot be used. */
interface Outage {
  readonly error: Text2ImgError;
  readonly failures: number;
  readonly sinceMs: number;
  readonly nextTryMs: number;
}

export class EngineModel implements PoolModel {
  readonly id: string;
  readonly takesUnnamed: boolean;
  readonly host: EngineHost;
  readonly #budget: BatchBudget;
  readonly #options: EngineModelOptions;
  readonly #pauses: PauseRange;
  #outage: Outage | undefined;

  constructor(options: EngineModelOptions, logger: Logger, pauses: PauseRange) {
    this.id = options.id;
    this.takesUnnamed = options.takesUnnamed;
    this.host = options.host;
    this.#options = options;
    this.#budget = new BatchBudget(logger, options.limitsFolder);
    this.#pauses = pauses;
  }

  get facts(): PoolModel['facts'] {
    return this.host.knownModel;
  }

  get budget(): BatchBudget {
    if (this.facts !== undefined) this.#budget.remember(this.facts);
    return this.#budget;
  }

  get outage(): Outage | undefined {
    return this.#outage;
  }

  /** It can be loaded as far as is known, or it is time to try again. */
  get mayBeTried(): boolean {
    return this.#outage === undefined || performance.now() >= this.#outage.nextTryMs;
  }

  /** How many images of its default size fit into one pass. */
  get maxImages(): number {
    const { facts } = this;
    return facts === undefined ? 1 : this.budget.imagesPerPass(facts, facts.defaultWidthPx * facts.defaultHeightPx);
  }

  /** Finds its files, where that is needed. @throws why they cannot be had, or why a model that was loaded before does not fit */
  async prepare(): Promise<void> {
    await this.#options.prepare?.();
    this.check();
  }

  /** Of a model that was loaded before. @throws why the operator's settings do not fit it */
  check(): void {
    if (this.facts !== undefined) this.#options.check?.(this.facts);
  }

  /** @throws what loading throws, and what `check` throws */
  async load(): Promise<void> {
    const { load = (start) => start(), onLoaded } = this.#options;
    const facts = await load(() => this.host.start());
    this.check();
    onLoaded?.(facts);
  }

  /** @returns how often it was refused without a success between */
  refuse(error: Text2ImgError): number {
    const failures = (this.#outage?.failures ?? 0) + 1;
    const nowMs = performance.now();
    const sinceMs = this.#outage?.sinceMs ?? nowMs;
    this.#outage = { error, failures, sinceMs, nextTryMs: nowMs + growingPauseMs(failures, this.#pauses) };
    return failures;
  }

  /** @returns whether it was out */
  recover(): boolean {
    const wasOut = this.#outage !== undefined;
    this.#outage = undefined;
    return wasOut;
  }
}
