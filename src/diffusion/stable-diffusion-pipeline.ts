/**
 * From prompts to pixels: tokens, embeddings, latents, steps, pictures, in the order of diffusers' StableDiffusionPipeline.
 * Source: diffusers pipelines/stable_diffusion/pipeline_stable_diffusion.py, StableDiffusionPipeline.__call__.
 *
 * Jobs of one call may share passes of the UNet, but each image has its own generator, scheduler and latents, so it never depends on its
 * neighbours, and one that is cancelled leaves the batch without touching them.
 */
import { Text2ImgError } from '../errors/text2img-error.ts';
import { quote } from '../lib/foreign-text.ts';
import type { ResolvedGenerationRequest } from '../job/generation-request.ts';
import type { ClipTokenizer } from './clip-tokenizer.ts';
import { checkRequest } from './check-request.ts';
import { guide, isGuided } from './guidance.ts';
import { toRgb } from './image-processor.ts';
import type { Denoiser, TextEncoder, VaeDecoder } from './networks.ts';
import { TorchCpuGenerator } from './random/torch-cpu-random.ts';
import type { Scheduler } from './schedulers/scheduler.ts';
import { type CheckpointScheduler, createScheduler } from './schedulers/scheduler-registry.ts';

/** How much of a cut prompt's rest its warning quotes. */
const CUT_TEXT_LENGTH = 300;

export interface PipelineParts {
  readonly tokenizer: ClipTokenizer;
  readonly textEncoder: TextEncoder;
  readonly denoiser: Denoiser;
  readonly vae: VaeDecoder;
  readonly scheduler: CheckpointScheduler;
  /** How many images may share one pass of the UNet. */
  readonly maxBatchImages: number;
  /** Lets messages in between two steps; a network blocks the thread while it runs. */
  readonly yieldToEventLoop: () => Promise<void>;
}

export interface PipelineJob {
  readonly jobId: string;
  readonly request: ResolvedGenerationRequest;
}

interface PipelineProgress {
  readonly stage: 'encode' | 'denoise' | 'decode';
  /** Of all the job's images together. */
  readonly step: number;
  readonly steps: number;
}

export interface PipelineImage {
  readonly imageIndex: number;
  readonly seed: number;
  readonly widthPx: number;
  readonly heightPx: number;
  /** Row by row, 3 bytes a pixel. */
  readonly rgb: Uint8Array<ArrayBuffer>;
}

/** Where results go. Every job ends with exactly one `onDone` or `onFailed`. */
export interface PipelineObserver {
  isCancelled(jobId: string): boolean;
  onProgress(jobId: string, progress: PipelineProgress): void;
  onImage(jobId: string, image: PipelineImage): void;
  onDone(jobId: string, warnings: readonly string[]): void;
  onFailed(jobId: string, error: Text2ImgError): void;
}

/** A job on its way. */
interface ActiveJob extends PipelineJob {
  readonly warnings: readonly string[];
  /** [T, D] each */
  readonly promptEmbeds: Float32Array;
  readonly negativePromptEmbeds: Float32Array;
  stepsDone: number;
  stepsTotal: number;
  imagesLeft: number;
  ended: boolean;
}

/** One image on its way. */
interface ActiveImage {
  readonly job: ActiveJob;
  readonly imageIndex: number;
  readonly seed: number;
  readonly generator: TorchCpuGenerator;
  readonly scheduler: Scheduler;
  /** [C, h, w] */
  latents: Float32Array;
}

type LatentShape = readonly [channels: number, height: number, width: number];

export class StableDiffusionPipeline {
  readonly #parts: PipelineParts;

  constructor(parts: PipelineParts) {
    this.#parts = parts;
  }

  /**
   * Draws all jobs; never throws for a fault of one of them, which goes to its `onFailed`.
   * @param maxBatchImages fewer per pass than the model allows, when memory is short
   */
  async generate(
    jobs: readonly PipelineJob[],
    observer: PipelineObserver,
    maxBatchImages: number = this.#parts.maxBatchImages,
  ): Promise<void> {
    const images: { readonly job: ActiveJob; readonly imageIndex: number }[] = [];
    for (const job of jobs) {
      const active = await this.#begin(job, observer);
      if (active === undefined) continue;
      for (let imageIndex = 0; imageIndex < job.request.numImages; imageIndex++)
        images.push({ job: active, imageIndex });
    }
    for (const batch of batchesOf(images, Math.min(maxBatchImages, this.#parts.maxBatchImages))) {
      const active = batch.filter(({ job }) => !job.ended);
      try {
        await this.#drawBatch(
          active.map(({ job, imageIndex }) => this.#prepareImage(job, imageIndex)),
          observer,
        );
      } catch (error) {
        // What fails in a shared pass fails for all who share it.
        for (const { job } of active) endFailed(job, Text2ImgError.from(error), observer);
      }
    }
  }

  /** Checks and encodes the prompt; a job that fails here touches no other. */
  async #begin(job: PipelineJob, observer: PipelineObserver): Promise<ActiveJob | undefined> {
    const { request, jobId } = job;
    try {
      checkRequest(request);
      const steps = createScheduler(request.scheduler, this.#parts.scheduler, request.numInferenceSteps).timesteps
        .length;
      const stepsTotal = steps * request.numImages;
      observer.onProgress(jobId, { stage: 'encode', step: 0, steps: stepsTotal });
      const warnings: string[] = [];
      const negativePromptEmbeds = await this.#encode(request.negativePrompt, 'negative prompt', warnings);
      const promptEmbeds = await this.#encode(request.prompt, 'prompt', warnings);
      await this.#parts.yieldToEventLoop();
      return {
        ...job,
        warnings,
        promptEmbeds,
        negativePromptEmbeds,
        stepsDone: 0,
        stepsTotal,
        imagesLeft: request.numImages,
        ended: false,
      };
    } catch (error) {
      observer.onFailed(jobId, Text2ImgError.from(error));
      return undefined;
    }
  }

  /** @returns [T, D] */
  async #encode(text: string, what: string, warnings: string[]): Promise<Float32Array> {
    const { inputIds, cutText } = this.#parts.tokenizer.tokenize(text);
    if (cutText !== undefined) {
      warnings.push(
        `The ${what} was cut because CLIP reads at most ${this.#parts.tokenizer.maxTokens} tokens; left out: ${quote(cutText, CUT_TEXT_LENGTH)}`,
      );
    }
    return this.#parts.textEncoder.encode(inputIds, 1);
  }

  #latentShape({ widthPx, heightPx }: ResolvedGenerationRequest): LatentShape {
    const { denoiser, vae } = this.#parts;
    return [denoiser.latentChannels, Math.floor(heightPx / vae.scaleFactor), Math.floor(widthPx / vae.scaleFactor)];
  }

  #prepareImage(job: ActiveJob, imageIndex: number): ActiveImage {
    const { request } = job;
    const seed = request.seed + imageIndex;
    const generator = new TorchCpuGenerator(seed);
    const scheduler = createScheduler(request.scheduler, this.#parts.scheduler, request.numInferenceSteps);
    const size = this.#latentShape(request).reduce((product, count) => product * count, 1);
    const latents = generator.randn(size).map((value) => value * scheduler.initNoiseSigma);
    return { job, imageIndex, seed, generator, scheduler, latents };
  }

  async #drawBatch(images: readonly ActiveImage[], observer: PipelineObserver): Promise<void> {
    const timesteps = images[0]?.scheduler.timesteps ?? [];
    for (const timestep of timesteps) {
      const alive = withoutCancelled(images, observer);
      if (alive.length === 0) return;
      await this.#denoise(alive, timestep);
      for (const { job } of alive) {
        job.stepsDone++;
        observer.onProgress(job.jobId, { stage: 'denoise', step: job.stepsDone, steps: job.stepsTotal });
      }
      await this.#parts.yieldToEventLoop();
    }
    for (const image of images) {
      if (withoutCancelled([image], observer).length === 0) continue;
      await this.#decode(image, observer);
      await this.#parts.yieldToEventLoop();
    }
  }

  /** One step of every image, in one pass of the UNet. */
  async #denoise(images: readonly ActiveImage[], timestep: number): Promise<void> {
    const first = (images[0] as ActiveImage).job.request;
    const guided = isGuided(first.guidanceScale);
    const inputs = images.map(({ scheduler, latents }) => scheduler.scaleModelInput(latents, timestep));
    const conditional = images.map(({ job }) => job.promptEmbeds);
    const unconditional = images.map(({ job }) => job.negativePromptEmbeds);
    const sample = joined(guided ? [...inputs, ...inputs] : inputs); // [B or 2B, C, h, w]
    const encoderHiddenStates = joined(guided ? [...unconditional, ...conditional] : conditional); // [B or 2B, T, D]
    const shape = [guided ? images.length * 2 : images.length, ...this.#latentShape(first)] as const;
    const noisePred = await this.#parts.denoiser.predict({ sample, shape, timestep, encoderHiddenStates });
    const size = noisePred.length / shape[0];
    const part = (index: number): Float32Array => noisePred.subarray(index * size, (index + 1) * size);
    for (const [index, image] of images.entries()) {
      const { guidanceScale } = image.job.request;
      const modelOutput = guided ? guide(part(index), part(images.length + index), guidanceScale) : part(index);
      image.latents = image.scheduler.step({
        modelOutput,
        timestep,
        sample: image.latents,
        noise: () => image.generator.randn(size),
      });
    }
  }

  async #decode(image: ActiveImage, observer: PipelineObserver): Promise<void> {
    const { job, imageIndex, seed } = image;
    const { vae } = this.#parts;
    observer.onProgress(job.jobId, { stage: 'decode', step: job.stepsDone, steps: job.stepsTotal });
    const shape = this.#latentShape(job.request);
    const decoded = await vae.decode(
      image.latents.map((value) => value / vae.scalingFactor),
      shape,
    ); // [1, 3, H, W]
    const [heightPx, widthPx] = [shape[1] * vae.scaleFactor, shape[2] * vae.scaleFactor];
    observer.onImage(job.jobId, { imageIndex, seed, widthPx, heightPx, rgb: toRgb(decoded, heightPx * widthPx) });
    job.imagesLeft--;
    if (job.imagesLeft === 0 && !job.ended) {
      job.ended = true;
      observer.onDone(job.jobId, job.warnings);
    }
  }
}

function endFailed(job: ActiveJob, error: Text2ImgError, observer: PipelineObserver): void {
  if (job.ended) return;
  job.ended = true;
  observer.onFailed(job.jobId, error);
}

function withoutCancelled(images: readonly ActiveImage[], observer: PipelineObserver): ActiveImage[] {
  for (const { job } of images) {
    if (!job.ended && observer.isCancelled(job.jobId))
      endFailed(job, new Text2ImgError('cancelled', 'the job was cancelled.'), observer);
  }
  return images.filter(({ job }) => !job.ended);
}

/** Neighbours that can share a pass: same size, steps, scheduler and guidance on or off. */
function batchesOf<T extends { readonly job: ActiveJob }>(images: readonly T[], maxImages: number): T[][] {
  const batches: T[][] = [];
  for (const image of images) {
    const last = batches.at(-1);
    const canJoin =
      last !== undefined &&
      last.length < maxImages &&
      batchKey((last[0] as T).job.request) === batchKey(image.job.request);
    if (canJoin) last.push(image);
    else batches.push([image]);
  }
  return batches;
}

function batchKey({
  widthPx,
  heightPx,
  numInferenceSteps,
  scheduler,
  guidanceScale,
}: ResolvedGenerationRequest): string {
  return [widthPx, heightPx, numInferenceSteps, scheduler, isGuided(guidanceScale)].join();
}

function joined(parts: readonly Float32Array[]): Float32Array {
  if (parts.length === 1) return parts[0] as Float32Array;
  const whole = new Float32Array(parts.reduce((length, part) => length + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}
