/** Starts the engine processes with the settings' model, each on its device or its cores. */
import { stat } from 'node:fs/promises';
import { EngineHost } from '../engine/engine-host.ts';
import { LocalEnginePool } from '../engine/engine-pool.ts';
import type { EngineSettings } from '../engine/protocol.ts';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { omitUndefined } from '../lib/omit-undefined.ts';
import type { HealthEngine } from '../observability/health-file.ts';
import { loggerWith } from '../observability/logger-with.ts';
import type { Logger } from '../observability/logger.ts';
import { RUNTIMES } from '../runtime/registry.ts';
import type { EnginePlan } from './engine-plans.ts';
import type { ModelFolder } from './find-model.ts';
import type { EngineOptions } from './settings.ts';

export interface MakeEngineOptions {
  readonly model: ModelFolder;
  readonly logger: Logger;
}

type Facts = EngineHost['model'];

interface PlannedEngine {
  readonly plan: EnginePlan;
  readonly host: EngineHost;
  /** Names the engine where there are several. */
  readonly logger: Logger;
}

/** The engines of one worker: they end with the pool. */
export class WorkerEngines implements AsyncDisposable {
  readonly pool: LocalEnginePool;
  readonly #engines: readonly PlannedEngine[];
  readonly #made: MakeEngineOptions;
  readonly #environment: EngineOptions['environment'];
  /**
   * The first engine decides for all at its first start: how many networks are in memory at a time, and which runtime they run on. Engines with other
   * numbers of threads would measure for themselves, and an image must not depend on its engine.
   */
  #shared: Partial<Pick<EngineSettings, 'sharers' | 'lowMemory' | 'runtime' | 'runtimeReason'>>;

  /** Not started yet. */
  constructor(options: EngineOptions, made: MakeEngineOptions) {
    const { plans, environment } = options;
    this.#made = made;
    this.#shared = sharesCpu(plans) ? { sharers: plans.length } : {};
    this.#environment = environment;
    this.#engines = plans.map((plan, index) => {
      const logger = plans.length === 1 ? made.logger : loggerWith(made.logger, { engine: engineName(index) });
      const host = makeEngine(options, { plan, model: made.model, logger, changes: () => this.#shared });
      return { plan, host, logger };
    });
    this.pool = new LocalEnginePool({ engines: this.#engines.map(({ host }) => host), logger: made.logger });
  }

  /** The models are loaded when this resolves. @throws what loading throws, `invalid_option`, `conflicting_options` */
  async start(): Promise<void> {
    await logLoading(this.#made);
    const [first, ...others] = this.#engines;
    if (first === undefined) return;
    if (!sharesCpu(this.#engines.map(({ plan }) => plan))) {
      await Promise.all(this.#engines.map((engine) => this.#startOne(engine)));
      return;
    }
    // The first fills the compile cache, which the others then share.
    const facts = await this.#startOne(first);
    if (facts.device !== 'cpu') throw sharesNoGpu(this.#engines.length, facts.device);
    const { runtime, runtimeReason } = facts;
    this.#shared = {
      lowMemory: facts.lowMemory === true ? 'on' : 'off',
      ...omitUndefined({ runtime, runtimeReason }),
    };
    await Promise.all(others.map((engine) => this.#startOne(engine)));
  }

  /** For the health file. */
  get health(): readonly HealthEngine[] {
    const problems = this.pool.refusals;
    return this.#engines.map(({ host }, index) => ({
      engine: engineName(index),
      device: host.knownModel?.device,
      problem: problems[index]?.message ?? null,
    }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.pool[Symbol.asyncDispose]();
  }

  async #startOne({ plan, host, logger }: PlannedEngine): Promise<Facts> {
    try {
      const facts = await host.start();
      logReady(facts, { plan, logger, isOneOfSeveral: this.#engines.length > 1 });
      return facts;
    } catch (raw) {
      const error = Text2ImgError.from(raw);
      if (error.code !== 'device_unavailable' || this.#engines.length === 1) throw error;
      throw await missingInList(error, this.#environment);
    }
  }
}

/** Made and started, of the first plan only. @throws what loading throws */
export async function openEngine(options: EngineOptions, made: MakeEngineOptions): Promise<EngineHost> {
  const { plans } = options;
  const [plan, ...others] = plans;
  if (others.length > 0)
    made.logger.warning('one command generates on one device; only "run" uses several', { device: plan.device });
  const engine = makeEngine(options, { ...made, plan });
  try {
    await logLoading(made);
    logReady(await engine.start(), { plan, logger: made.logger, isOneOfSeveral: false });
    return engine;
  } catch (error) {
    await engine.stop();
    throw error;
  }
}

interface OneEngine extends MakeEngineOptions {
  readonly plan: EnginePlan;
  /** Asked at each start. */
  readonly changes?: () => Partial<EngineSettings>;
}

/** Not started yet. */
function makeEngine(
  { settings, environment }: EngineOptions,
  { plan, model, logger, changes = () => ({}) }: OneEngine,
): EngineHost {
  return new EngineHost({
    settings: () => ({
      ...settings,
      ...plan,
      checkpointFolder: model.folder,
      modelName: model.name,
      ...omitUndefined({ vae: model.vae }),
      ...changes(),
    }),
    logger,
    environment,
  });
}

function sharesCpu([first, second]: readonly EnginePlan[]): boolean {
  return second !== undefined && first?.device === second.device;
}

/** As the pool names them. */
function engineName(index: number): string {
  return `engine ${index + 1}`;
}

async function logLoading({ model, logger }: MakeEngineOptions): Promise<void> {
  const isFile = (await stat(model.folder).catch(() => undefined))?.isFile() === true;
  const place = isFile ? { file: model.folder } : { folder: model.folder };
  logger.info('loading the model', { ...place, ...omitUndefined({ note: model.note }) });
}

interface ReadyOptions extends Omit<PlannedEngine, 'host'> {
  readonly isOneOfSeveral: boolean;
}

function logReady(facts: Facts, { plan, logger, isOneOfSeveral }: ReadyOptions): void {
  const { threads, cpus } = plan;
  logger.info('model ready', {
    model: facts.modelName,
    device: facts.device,
    reason: facts.deviceReason,
    dtype: facts.dtype,
    ...omitUndefined({ runtime: facts.runtime, runtime_reason: facts.runtimeReason }),
    load_ms: Math.round(facts.loadMs),
    ...(isOneOfSeveral && facts.device === 'cpu' ? { threads, ...omitUndefined({ cpus }) } : {}),
  });
  if (facts.deviceDetail !== undefined) logger.debug('why this device', { detail: facts.deviceDetail });
  for (const detail of facts.details ?? []) logger.debug('about the model', { detail });
  for (const warning of facts.warnings) logger.warning('about the model', { warning });
}

function sharesNoGpu(engines: number, device: string): Text2ImgError {
  return new Text2ImgError(
    'conflicting_options',
    `--engines ${engines} shares the CPU, but --device auto took ${device}; give --device cpu, or name the GPUs, as --device cuda:0,cuda:1.`,
  );
}

/** The user's list names a GPU that is not there: what is there can be said. */
async function missingInList(
  { message }: Text2ImgError,
  environment: EngineOptions['environment'],
): Promise<Text2ImgError> {
  const reports = (await Promise.all(RUNTIMES.map((runtime) => runtime.devices({ environment })))).flat();
  const usable = reports.filter(({ computeTypes, kind }) => kind === 'gpu' && computeTypes.length > 0);
  const names = Array.from(new Set(usable.map(({ device }) => device))).filter((name) => name.startsWith('cuda'));
  const allowed = names.length === 0 ? 'no NVIDIA GPU answers on this machine' : `this machine has ${names.join(', ')}`;
  return new Text2ImgError('invalid_option', `${message} --device may list GPUs that are there: ${allowed}.`);
}
