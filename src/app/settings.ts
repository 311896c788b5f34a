/**
 * The settings that open each part: plain values, out of the options and the environment. Nothing here opens, fetches or asks anything.
 */
import { hostname } from 'node:os';
import type { Environment } from '../config/environment.ts';
import { type GoogleSettings, googleSettings } from '../config/google.ts';
import type { Mode, QueueMode } from '../config/mode.ts';
import type { Config } from '../config/options.ts';
import type { ModelEntry } from '../config/options/model-list.ts';
import { onlyPredictionType, type PredictionTypes } from '../config/options/prediction-type.ts';
import { nameInUse } from '../config/parse.ts';
import { omitUndefined } from '../lib/omit-undefined.ts';
import { readProxies } from '../lib/proxies.ts';
import { checkRuntimeOptions } from '../config/check-runtime.ts';
import { compileCacheFolder, dataHome } from '../config/user-folders.ts';
import type { EngineSettings } from '../engine/protocol.ts';
import type { MetricsPlace } from '../http/metrics/metrics-listener.ts';
import { openvinoLibraryFolder } from '../runtime/openvino/library-folder.ts';
import type { Proxies } from '../lib/proxies.ts';
import { engineEnvironment } from './engine-environment.ts';
import { type EnginePlan, planEngines } from './engine-plans.ts';

export interface QueueSettings {
  readonly mode: QueueMode;
  /** How the user gave the URI, for errors. */
  readonly mongoUriName: string;
  readonly collection: string;
  readonly leaseMs: number;
  readonly maxAttempts: number;
  /** The name of the claiming worker, for `jobs show`. */
  readonly owner: string;
}

export function queueSettings(config: Config, mode: QueueMode): QueueSettings {
  return {
    mode,
    mongoUriName: nameInUse(config, 'mongoUri'),
    collection: config.collection,
    leaseMs: config.leaseSeconds * 1000,
    maxAttempts: config.maxAttempts,
    owner: `${hostname()}:${process.pid}`,
  };
}

/** Where images are kept. */
type ImagePlace =
  | { readonly kind: 'folder'; readonly dataDir: string }
  | {
      readonly kind: 'bucket';
      readonly bucket: string;
      readonly google: GoogleSettings;
      /** Webhooks name images by links that work without an account. */
      readonly signedUrls: boolean;
    };

export interface StoreSettings {
  readonly place: ImagePlace;
  /** The images' names begin with it. */
  readonly prefix: string;
  /** Where receivers of webhooks find the images; undefined: under the stored URL. */
  readonly publicUrlBase: string | undefined;
}

interface Surroundings {
  readonly mode: Mode;
  readonly environment: Environment;
}

/** @throws `invalid_option` for an emulator or a proxy that is none */
export function storeSettings(config: Config, { mode, environment }: Surroundings): StoreSettings {
  const { publicUrlBase, signedUrls, gcsPrefix: prefix } = config;
  if (mode.kind === 'embedded') return { place: { kind: 'folder', dataDir: mode.dataDir }, prefix, publicUrlBase };
  const google = googleSettings(environment);
  return { place: { kind: 'bucket', bucket: mode.gcsBucket, google, signedUrls }, prefix, publicUrlBase };
}

export interface WebhookSettings {
  readonly operatorUrl: string | undefined;
  readonly events: ReadonlySet<'completed' | 'error'>;
  readonly allowedHosts: ReadonlySet<string>;
  /** As given; several are separated by commas. */
  readonly secrets: string | undefined;
  readonly proxies: Proxies;
}

/** @throws `invalid_option` for a proxy that is none */
export function webhookSettings(config: Config, environment: Environment): WebhookSettings {
  return {
    operatorUrl: config.callbackUrl,
    events: config.callbackEvents,
    allowedHosts: config.callbackAllowHosts,
    secrets: config.webhookSecret,
    proxies: readProxies(environment),
  };
}

/** Where Prometheus scrapes; undefined: nowhere. */
export function metricsPlace({ metricsHost: host, metricsPort: port }: Config): MetricsPlace | undefined {
  return port === undefined ? undefined : { host, port };
}

export interface ModelSettings {
  /** A folder or a name on the hub; undefined: the default. */
  readonly model: string | undefined;
  /** Several instead of `model`, the default first; undefined: there is one. */
  readonly models?: readonly ModelEntry[] | undefined;
  /** Used without `model`; undefined: the demo checkpoint of the package. */
  readonly defaultModel: string | undefined;
  /** A folder, a file or a name on the hub; undefined: the model's own autoencoder. With `models` perhaps name=… for each. */
  readonly vae: string | undefined;
  /** A TAESD for previews; undefined: they are made without a network. As `vae`. */
  readonly previewVae?: string | undefined;
  /** Undefined: as the checkpoint says. By name only with `models`. */
  readonly predictionType?: PredictionTypes | undefined;
  readonly variant: string | undefined;
  /** Takes models from the cache only. */
  readonly offline: boolean;
  /** The hub's own variables and the proxies are read from it. */
  readonly environment: Environment;
}

/** @throws `conflicting_options` for prediction types by name without `models` */
export function modelSettings(
  { model, models, vae, previewVae, predictionType: types, variant, offline }: Config,
  { defaultModel, environment }: Pick<ModelSettings, 'defaultModel' | 'environment'>,
): ModelSettings {
  const predictionType = models === undefined ? onlyPredictionType(types) : types;
  return { model, models, defaultModel, vae, previewVae, predictionType, variant, offline, environment };
}

/** The settings and the environment of an engine process. `find-model.ts` finds the checkpoint. */
export interface EngineOptions {
  readonly settings: Omit<
    EngineSettings,
    'checkpointFolder' | 'modelName' | 'vae' | 'previewVae' | 'predictionType' | keyof EnginePlan
  >;
  /** One for each engine of a worker. A command with one engine takes the first. */
  readonly plans: readonly [EnginePlan, ...EnginePlan[]];
  /** The child's whole environment. */
  readonly environment: Environment;
  /** An engine without jobs for so long gives its memory back; undefined: it keeps the model. */
  readonly idleUnloadMs: number | undefined;
}

export function engineOptions(config: Config, environment: Environment): EngineOptions {
  checkRuntimeOptions(config);
  return {
    settings: {
      variant: config.variant ?? null,
      dtype: config.dtype,
      weights: config.weights,
      runtime: config.runtime,
      graphForm: config.graphForm,
      openvinoFolder: openvinoLibraryFolder(dataHome(environment)),
      deterministic: config.deterministic,
      vaeTiling: config.vaeTiling,
      lowMemory: config.lowMemory,
      compileCacheFolder: compileCacheFolder(config, environment),
      ...omitUndefined({ compileCacheBytes: gigabytes(config.compileCacheSize) }),
      verifyCache: config.verifyCache,
    },
    plans: planEngines(config),
    environment: engineEnvironment(environment),
    idleUnloadMs: config.idleUnload === undefined ? undefined : config.idleUnload * 1000,
  };
}

function gigabytes(size: number | undefined): number | undefined {
  return size === undefined ? undefined : size * 1e9;
}
