/** Makes a checkpoint ready to draw: reads it, chooses the device, builds the three networks and their pipeline. Runs in the engine child. */
import { openCheckpoint } from '../../checkpoint/open-checkpoint.ts';
import type { StableDiffusionCheckpoint } from '../../pipelines/stable-diffusion/components.ts';
import { carriedSchedulerConfig } from '../../schedulers/scheduler-config.ts';
import { STABLE_DIFFUSION_FIELDS } from '../../pipelines/stable-diffusion/fields.ts';
import {
  carriedSchedulerKeys,
  defaultSampleSize,
  ownSchedulerConfig,
} from '../../pipelines/stable-diffusion/config-changes.ts';
import type { CheckpointScheduler } from '../../schedulers/create-scheduler.ts';
import { ClipTokenizer } from '../../pipelines/parts/clip-tokenizer.ts';
import { StableDiffusionPipeline } from '../../pipelines/stable-diffusion/stable-diffusion-pipeline.ts';
import { nearestTileSize } from '../../pipelines/parts/vae-tiling.ts';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import type { ModelFacts } from '../../job/model-facts.ts';
import { proveFit } from '../../pipelines/prove-fit.ts';
import { FAMILIES } from '../../pipelines/registry.ts';
import { type ChosenDevice, chooseDevice } from '../../runtime/choose-device.ts';
import { DEFAULT_RUNTIME } from '../../runtime/registry.ts';
import { identityOf } from '../../runtime/file-digest.ts';
import { hashInBackground, knownModelHash } from './model-hash.ts';
import { NetworkOpener, vaeSampleSizePx, vaeScaleFactor } from './open-networks.ts';
import type { EngineSettings } from '../protocol.ts';

export interface LoadedModel extends AsyncDisposable {
  readonly pipeline: StableDiffusionPipeline;
  readonly facts: ModelFacts;
  /** Where the model's hash is not known yet: finds it out beside everything else. */
  readonly hashLater: ((onHash: (modelHash: string) => void) => void) | undefined;
}

/** diffusers' default for Stable Diffusion 1.x. */
const DEFAULT_GUIDANCE_SCALE = 7.5;

/**
 * Every part is compared with every other before any weight is loaded.
 * @throws every code of `openCheckpoint` and `proveFit`, `invalid_option`, `device_unavailable`, `inference_failed`
 */
export async function loadModel(settings: EngineSettings): Promise<LoadedModel> {
  const startMs = performance.now();
  const checkpoint = await openCheckpoint(settings.checkpointFolder, {
    families: FAMILIES,
    ...(settings.variant === null ? {} : { variant: settings.variant }),
  });
  if (settings.vaeTiling) requireTiles(checkpoint);
  const tokenizer = new ClipTokenizer(checkpoint.tokenizers.tokenizer);
  const device = await chooseDevice(DEFAULT_RUNTIME, settings.device, settings.dtype);
  const graphs = proveFit(checkpoint, device.computeType);
  await using stack = new AsyncDisposableStack();
  const opener = stack.use(new NetworkOpener({ checkpoint, device: device.device, settings }));
  const fullPrecision =
    device.computeType === 'float32' ? {} : { fullPrecision: opener.openLater(() => proveFit(checkpoint, 'float32')) };
  const networks = await opener.open(graphs);
  const pipeline = new StableDiffusionPipeline({
    ...networks,
    ...fullPrecision,
    tokenizer,
    scheduler: schedulerOf(checkpoint),
  });
  const { modelHash, hashLater } = await hashOf(checkpoint, settings);
  const facts = factsOf({
    checkpoint,
    modelHash,
    modelName: settings.modelName ?? checkpoint.modelName,
    device,
    warnings: [...checkpoint.warnings, ...opener.notes],
    loadMs: performance.now() - startMs,
  });
  const resources = stack.move();
  return { pipeline, facts, hashLater, [Symbol.asyncDispose]: () => resources.disposeAsync() };
}

/** @throws `unsupported_config` for an autoencoder whose tiles do not join */
function requireTiles(checkpoint: StableDiffusionCheckpoint): void {
  const size = vaeSampleSizePx(checkpoint);
  const nearest = nearestTileSize(size, vaeScaleFactor(checkpoint));
  if (nearest === size) return;
  throw new Text2ImgError(
    'unsupported_config',
    `${checkpoint.networks.vae.configPath}: "sample_size" is ${size}, and tiles of that size do not join, so --vae-tiling cannot be used; ` +
      `the nearest size that works is ${nearest}.`,
  );
}

/** Of the denoising network's weights. */
async function hashOf(
  {
    networks: {
      unet: { weights },
    },
  }: StableDiffusionCheckpoint,
  { compileCacheFolder: folder, verifyCache: verify }: EngineSettings,
): Promise<Pick<LoadedModel, 'hashLater'> & { readonly modelHash: string | null }> {
  const files = new Set(Array.from(weights.names(), (name) => weights.place(name).file));
  const known = await knownModelHash(files, { folder, verify });
  const [path] = files;
  if (known !== undefined || path === undefined) return { modelHash: known ?? null, hashLater: undefined };
  const file = { path, identity: await identityOf(path) };
  return { modelHash: null, hashLater: (onHash) => hashInBackground(file, { folder, verify }, onHash) };
}

interface Findings {
  readonly checkpoint: StableDiffusionCheckpoint;
  readonly modelHash: string | null;
  readonly modelName: string;
  readonly device: ChosenDevice;
  readonly warnings: readonly string[];
  readonly loadMs: number;
}

function factsOf({ checkpoint, modelHash, modelName, device, warnings, loadMs }: Findings): ModelFacts {
  const size = defaultSampleSize(checkpoint.networks.unet.config);
  const scaleFactor = vaeScaleFactor(checkpoint);
  return {
    modelName,
    modelHash,
    pipelineClass: checkpoint.index.pipelineClass,
    fields: [...STABLE_DIFFUSION_FIELDS],
    defaultWidthPx: size.width * scaleFactor,
    defaultHeightPx: size.height * scaleFactor,
    defaultGuidanceScale: DEFAULT_GUIDANCE_SCALE,
    defaultScheduler: checkpoint.scheduler.className,
    maxBatchImages: maxBatchImages(device),
    device: device.device,
    deviceReason: device.reason,
    dtype: device.computeType,
    loadMs: Math.round(loadMs),
    warnings: [...warnings],
  };
}

/** A CPU gains nothing from larger batches; a GPU's share is not measured yet, and four images of 512×512 fit into 8 GB in float16. */
function maxBatchImages({ kind }: ChosenDevice): number {
  return kind === 'cpu' ? 1 : 4;
}

function schedulerOf({ scheduler: { className: own, config } }: StableDiffusionCheckpoint): CheckpointScheduler {
  return {
    configFor: (scheduler) =>
      scheduler.className === own
        ? ownSchedulerConfig(config)
        : carriedSchedulerConfig(scheduler, carriedSchedulerKeys(config)),
  };
}
