/** Starts the engine processes with the settings' model, each on its device or its cores. */
import { stat } from 'node:fs/promises';
import { EngineHost } from '../engine/engine-host.ts';
import type { EngineModelOptions } from '../engine/engine-model.ts';
import { LocalEnginePool } from '../engine/engine-pool.ts';
import type { EngineSettings } from '../engine/protocol.ts';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { quote } from '../lib/foreign-text.ts';
import { omitUndefined } from '../lib/omit-undefined.ts';
import type { HealthEngine } from '../observability/health-file.ts';
import { loggerWith } from '../observability/logger-with.ts';
import type { Logger } from '../observability/logger.ts';
import { RUNTIMES } from '../runtime/registry.ts';
import type { EnginePlan } from './engine-plans.ts';
import type { ModelFolder } from './find-model.ts';
import { logReady } from './log-ready.ts';
import type { EngineOptions } from './settings.ts';
import { SharedLoads } from './shared-loads.ts';

export interface MakeEngineOptions {
  readonly model: ModelFolder;
  readonly logger: Logger;
}

type Facts = EngineHost['model'];

/** One of the models of a worker. */
export interface WorkerModel {
  readonly id: string;
  /** Called again until it is found. @throws what finding throws */
  readonly find: () => Promise<ModelFolder>;
}

interface WorkerEnginesOptions {
  /** The default first. */
  readonly models: readonly FindableModel[];
  readonly logger: Logger;
  /** Looks at what loading a model found out. @throws why the operator's settings do not fit it */
  readonly check?: (facts: Facts) => void;
}

interface PlannedEngine {
  readonly plan: EnginePlan;
  /** One for each model. */
  readonly hosts: readonly EngineHost[];
  /** Names the engine where there are several. */
  readonly logger: Logger;
}

/** A model that is found once. */
export class FindableModel {
  readonly id: string;
  readonly #find: WorkerModel['find'];
  #found: ModelFolder | undefined;

  constructor({ id, find }: WorkerModel) {
    this.id = id;
    this.#find = find;
  }

  /** @throws what finding throws */
  async find(): Promise<ModelFolder> {
    this.#found ??= { ...(await this.#find()), name: this.id };
    return this.#found;
  }

  get found(): ModelFolder {
    if (this.#found === undefined)
      throw new Text2ImgError('internal', `the model ${quote(this.id)} was to be loaded before it was found.`);
    return this.#found;
  }
}

/** The engines of one worker: they end with the pool. */
export class WorkerEngines implements AsyncDisposable {
  readonly pool: LocalEnginePool;
  readonly #engines: readonly PlannedEngine[];
  readonly #options: WorkerEnginesOptions;
  readonly #environment: EngineOptions['environment'];
  /**
   * The first engine decides for all at its first start: how many networks are in memory at a time, and which runtime they run on. Engines with other
   * numbers of threads would measure for themselves, and an image must not depend on its engine.
   */
  #shared: Partial<Pick<EngineSettings, 'sharers' | 'lowMemory' | 'runtime' | 'runtimeReason'>>;
  /** With several models each has decisions of its own. Undefined: one model, or engines that share no CPU. */
  readonly #loads: SharedLoads | undefined;

  /** Not started yet. */
  constructor(engine: EngineOptions, options: WorkerEnginesOptions) {
    const { plans, environment, idleUnloadMs } = engine;
    const { models, logger: workerLogger } = options;
    this.#options = options;
    const isSharing = sharesCpu(plans);
    this.#loads = isSharing && models.length > 1 ? new SharedLoads(plans.length) : undefined;
    this.#shared = isSharing ? { sharers: plans.length } : {};
    this.#environment = environment;
    this.#engines = plans.map((plan, index) => {
      const logger = plans.length === 1 ? workerLogger : loggerWith(workerLogger, { engine: engineName(index) });
      const hosts = models.map((model) =>
        makeEngine(engine, {
          plan,
          model: () => model.found,
          logger,
          changes: () => this.#loads?.settingsFor(model.id) ?? this.#shared,
        }),
      );
      return { plan, hosts, logger };
    });
    const { compileCacheFolder: limitsFolder } = engine.settings;
    const engines = this.#engines.map((one) =>
      models.map((model, index) => ({ limitsFolder, ...this.#poolModel(one, model, index) })),
    );
    this.pool = new LocalEnginePool({ engines, logger: workerLogger, idleUnloadMs });
  }

  /** A model is loaded in each engine when this resolves. @throws what finding and loading throw, `invalid_option`, `conflicting_options` */
  async start(): Promise<void> {
    const { models, logger } = this.#options;
    const [only, ...more] = models;
    if (only === undefined) return;
    if (more.length > 0) return await this.#startWithSeveral();
    await logLoading({ model: await only.find(), logger });
    await this.#startWithOne();
  }

  /** Each engine with the first model that it can load. One that cannot be had is left out, and tried again when documents ask for it. */
  async #startWithSeveral(): Promise<void> {
    for (const model of this.#options.models)
      await model.find().catch((error: unknown) => this.pool.refuseModel(model.id, Text2ImgError.from(error)));
    try {
      await this.pool.start();
      this.#loads?.started();
    } catch (error) {
      throw await this.#explained(Text2ImgError.from(error));
    }
  }

  async #startWithOne(): Promise<void> {
    const [first, ...others] = this.#engines;
    if (first === undefined) return;
    if (!sharesCpu(this.#engines.map(({ plan }) => plan))) {
      await Promise.all(this.#engines.map((engine) => this.#startOne(engine)));
      return;
    }
    // The first fills the compile cache, which the others then share.
    const facts = await this.#startOne(first);
    if (facts === undefined) return;
    requireCpu(this.#engines.length)(facts);
    const { runtime, runtimeReason } = facts;
    this.#shared = {
      lowMemory: facts.lowMemory === true ? 'on' : 'off',
      ...omitUndefined({ runtime, runtimeReason }),
    };
    await Promise.all(others.map((engine) => this.#startOne(engine)));
  }

  /** Of the engines that have loaded theirs. */
  get models(): readonly Facts[] {
    return this.#engines
      .flatMap(({ hosts }) => hosts.map(({ knownModel }) => knownModel))
      .filter((model) => model !== undefined);
  }

  /** For the health file. */
  get health(): readonly HealthEngine[] {
    const problems = this.pool.refusals;
    return this.#engines.map(({ hosts }, index) => ({
      engine: engineName(index),
      device: hosts.find(({ knownModel }) => knownModel !== undefined)?.knownModel?.device,
      problem: problems[index]?.message ?? null,
    }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.pool[Symbol.asyncDispose]();
  }

  #poolModel({ hosts, plan, logger }: PlannedEngine, model: FindableModel, index: number): EngineModelOptions {
    const host = hosts[index];
    if (host === undefined) throw new RangeError('there is an engine process for each model');
    const options = { id: model.id, takesUnnamed: index === 0, host };
    const isOneOfSeveral = this.#engines.length > 1;
    // The only model is found, loaded and logged by `start`.
    if (hosts.length === 1) return options;
    return {
      ...options,
      ...omitUndefined({ check: this.#options.check }),
      load: (start) => this.#loads?.load(model.id, start, requireCpu(this.#engines.length)) ?? start(),
      prepare: async () => logLoading({ model: await model.find(), logger }),
      onLoaded: (facts) => logReady(facts, { plan, logger, isOneOfSeveral }),
    };
  }

  async #startOne({ plan, hosts: [host], logger }: PlannedEngine): Promise<Facts | undefined> {
    try {
      const facts = await host?.start();
      if (facts !== undefined) this.#options.check?.(facts);
      if (facts !== undefined) logReady(facts, { plan, logger, isOneOfSeveral: this.#engines.length > 1 });
      return facts;
    } catch (raw) {
      throw await this.#explained(Text2ImgError.from(raw));
    }
  }

  async #explained(error: Text2ImgError): Promise<Text2ImgError> {
    if (error.code !== 'device_unavailable' || this.#engines.length === 1) return error;
    return await missingInList(error, this.#environment);
  }
}

/** Made and started, of the first plan only. @throws what loading throws */
export async function openEngine(options: EngineOptions, made: MakeEngineOptions): Promise<EngineHost> {
  const { plans } = options;
  const [plan, ...others] = plans;
  if (others.length > 0)
    made.logger.warning('one command generates on one device; only "run" uses several', { device: plan.device });
  const engine = makeEngine(options, { plan, model: () => made.model, logger: made.logger });
  try {
    await logLoading(made);
    logReady(await engine.start(), { plan, logger: made.logger, isOneOfSeveral: false });
    return engine;
  } catch (error) {
    await engine.stop();
    throw error;
  }
}

interface OneEngine {
  readonly plan: EnginePlan;
  /** Asked at each start. */
  readonly model: () => ModelFolder;
  readonly logger: Logger;
  /** Asked at each start. */
  readonly changes?: () => Partial<EngineSettings>;
}

/** Not started yet. */
function makeEngine(
  { settings, environment }: EngineOptions,
  { plan, model, logger, changes = () => ({}) }: OneEngine,
): EngineHost {
  return new EngineHost({
    settings: () => {
      const { folder: checkpointFolder, name: modelName, vae, previewVae, predictionType } = model();
      const own = omitUndefined({ vae, previewVae, predictionType });
      return { ...settings, ...plan, checkpointFolder, modelName, ...own, ...changes() };
    },
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

/** @throws `conflicting_options` */
function requireCpu(engines: number): (facts: Facts) => void {
  return ({ device }) => {
    if (device === 'cpu') return;
    throw new Text2ImgError(
      'conflicting_options',
      `--engines ${engines} shares the CPU, but --device auto took ${device}; give --device cpu, or name the GPUs, as --device cuda:0,cuda:1.`,
    );
  };
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
