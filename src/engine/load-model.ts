/** Makes a checkpoint ready to draw: reads it, chooses the device, builds the three networks and their pipeline. Runs in the engine child. */
import { availableParallelism } from 'node:os';
import { type Checkpoint, openCheckpoint } from '../checkpoint/open-checkpoint.ts';
import { carriedSchedulerConfig } from '../checkpoint/config/scheduler-config.ts';
import { carriedSchedulerKeys, defaultSampleSize, ownSchedulerConfig } from '../checkpoint/stable-diffusion-quirks.ts';
import type { CheckpointScheduler } from '../diffusion/schedulers/scheduler-registry.ts';
import { ClipTokenizer } from '../diffusion/clip-tokenizer.ts';
import type { Denoiser, TextEncoder, VaeDecoder } from '../diffusion/networks.ts';
import { StableDiffusionPipeline } from '../diffusion/stable-diffusion-pipeline.ts';
import { tiledVaeDecoder } from '../diffusion/vae-tiling.ts';
import { buildVaeDecoderGraph } from '../models/autoencoder-kl.ts';
import { buildClipTextGraph } from '../models/clip-text-model.ts';
import { buildUNet2DConditionGraph } from '../models/unet-2d-condition-model.ts';
import { openCachedSession } from '../onnx/compile-cache.ts';
import { type ChosenDevice, chooseDevice } from '../onnx/execution-provider.ts';
import type { BuiltGraph } from '../onnx/graph.ts';
import type { Session, Tensor } from '../onnx/session.ts';
import { Text2ImgError } from '../errors/text2img-error.ts';
import type { EngineSettings, ModelFacts } from './protocol.ts';

export interface LoadedModel extends AsyncDisposable {
  readonly pipeline: StableDiffusionPipeline;
  readonly facts: ModelFacts;
}

export interface LoadModelHooks {
  readonly yieldToEventLoop: () => Promise<void>;
}

/** diffusers' default for Stable Diffusion 1.x. */
const DEFAULT_GUIDANCE_SCALE = 7.5;

/** @throws every code of `openCheckpoint`, `missing_tensor`, `wrong_tensor_shape`, `invalid_option`, `device_unavailable`, `inference_failed` */
export async function loadModel(settings: EngineSettings, hooks: LoadModelHooks): Promise<LoadedModel> {
  const startMs = performance.now();
  const checkpoint = await openCheckpoint(
    settings.checkpointFolder,
    settings.variant === null ? {} : { variant: settings.variant },
  );
  const device = await chooseDevice(settings.device, settings.dtype);
  const warnings = [...checkpoint.warnings];
  // ONNX Runtime's own choice is one thread per physical core, which leaves half of a small virtual machine idle.
  const threads = settings.threads === 0 ? availableParallelism() : settings.threads;
  const stack = new AsyncDisposableStack();
  const open = async (graph: BuiltGraph, spin: boolean): Promise<Session> => {
    const cache = {
      folder: settings.compileCacheFolder,
      verify: settings.verifyCache,
      onNote: (sentence: string) => void warnings.push(sentence),
    };
    return stack.use(await openCachedSession(graph, { provider: device.provider, threads, spin }, cache));
  };
  try {
    const { computeType } = device;
    const textEncoder = textEncoderOf(
      await open(
        buildClipTextGraph({ ...checkpoint.textEncoder, computeType, tokens: checkpoint.tokenizer.maxTokens }),
        false,
      ),
      checkpoint,
    );
    const denoiser = denoiserOf(
      await open(buildUNet2DConditionGraph({ ...checkpoint.unet, computeType }), true),
      checkpoint,
    );
    const plainVae = vaeDecoderOf(
      await open(buildVaeDecoderGraph({ ...checkpoint.vae, computeType }), false),
      checkpoint,
    );
    const vae = settings.vaeTiling ? tiledVaeDecoder(plainVae, sampleSizePx(checkpoint)) : plainVae;
    const pipeline = new StableDiffusionPipeline({
      tokenizer: new ClipTokenizer(checkpoint.tokenizer),
      textEncoder,
      denoiser,
      vae,
      scheduler: schedulerOf(checkpoint),
      maxBatchImages: maxBatchImages(device),
      yieldToEventLoop: hooks.yieldToEventLoop,
    });
    const facts = factsOf({
      checkpoint,
      modelName: settings.modelName ?? checkpoint.modelName,
      device,
      warnings,
      scaleFactor: vae.scaleFactor,
      loadMs: performance.now() - startMs,
    });
    const resources = stack.move();
    return { pipeline, facts, [Symbol.asyncDispose]: () => resources.disposeAsync() };
  } finally {
    await stack.disposeAsync();
  }
}

interface Findings {
  readonly checkpoint: Checkpoint;
  readonly modelName: string;
  readonly device: ChosenDevice;
  readonly warnings: readonly string[];
  readonly scaleFactor: number;
  readonly loadMs: number;
}

function factsOf({ checkpoint, modelName, device, warnings, scaleFactor, loadMs }: Findings): ModelFacts {
  const size = defaultSampleSize(checkpoint.unet.config);
  return {
    modelName,
    modelHash: null,
    pipelineClass: checkpoint.index.pipelineClass,
    defaultWidthPx: size.width * scaleFactor,
    defaultHeightPx: size.height * scaleFactor,
    defaultGuidanceScale: DEFAULT_GUIDANCE_SCALE,
    defaultScheduler: checkpoint.scheduler.className,
    maxBatchImages: maxBatchImages(device),
    device: device.provider.name === 'cuda' ? `cuda:${device.provider.deviceId}` : device.provider.name,
    deviceReason: device.reason,
    dtype: device.computeType,
    loadMs: Math.round(loadMs),
    warnings: [...warnings],
  };
}

/** A CPU gains nothing from larger batches; a GPU's share is not measured yet, and four images of 512×512 fit into 8 GB in float16. */
function maxBatchImages({ provider }: ChosenDevice): number {
  return provider.name === 'cpu' ? 1 : 4;
}

function sampleSizePx({ vae }: Checkpoint): number {
  const size = vae.config.sample_size;
  return Array.isArray(size) ? size[0] : size;
}

function schedulerOf({ scheduler: { className: own, config } }: Checkpoint): CheckpointScheduler {
  return {
    configFor: (className) =>
      className === own ? ownSchedulerConfig(config) : carriedSchedulerConfig(className, carriedSchedulerKeys(config)),
  };
}

function textEncoderOf(session: Session, { tokenizer: { maxTokens } }: Checkpoint): TextEncoder {
  return {
    maxTokens,
    encode: (inputIds, batch) =>
      runForFloats(session, { input_ids: { data: inputIds, shape: [batch, maxTokens] } }, 'last_hidden_state'),
  };
}

function denoiserOf(session: Session, { unet }: Checkpoint): Denoiser {
  return {
    latentChannels: unet.config.in_channels,
    predict: ({ sample, shape, timestep, encoderHiddenStates }) => {
      const features = Array.isArray(unet.config.cross_attention_dim)
        ? (unet.config.cross_attention_dim[0] ?? 0)
        : unet.config.cross_attention_dim;
      const tokens = encoderHiddenStates.length / shape[0] / features;
      return runForFloats(
        session,
        {
          sample: { data: sample, shape },
          timestep: { data: Float32Array.of(timestep), shape: [1] },
          encoder_hidden_states: { data: encoderHiddenStates, shape: [shape[0], tokens, features] },
        },
        'out_sample',
      );
    },
  };
}

function vaeDecoderOf(session: Session, { vae }: Checkpoint): VaeDecoder {
  return {
    scaleFactor: 2 ** (vae.config.block_out_channels.length - 1),
    scalingFactor: vae.config.scaling_factor,
    decode: (latents, shape) =>
      runForFloats(session, { latent_sample: { data: latents, shape: [1, ...shape] } }, 'sample'),
  };
}

async function runForFloats(
  session: Session,
  inputs: Readonly<Record<string, Tensor>>,
  output: string,
): Promise<Float32Array> {
  const { data } = (await session.run(inputs))[output] ?? {};
  if (data instanceof Float32Array) return data;
  throw new Text2ImgError('internal', `the network has no float32 output "${output}".`);
}
