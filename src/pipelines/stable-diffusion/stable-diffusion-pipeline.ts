/**
 * From prompts to pixels: tokens, embeddings, latents, steps, pictures, in the order of diffusers' StableDiffusionPipeline.
 * Source: diffusers pipelines/stable_diffusion/pipeline_stable_diffusion.py, StableDiffusionPipeline.__call__.
 *
 * Jobs of one call may share passes of the UNet, but each image has its own generator, scheduler and latents, so it never depends on its
 * neighbours, and one that is cancelled leaves the batch without touching them.
 */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { quote } from '../../lib/foreign-text.ts';
import type { ResolvedGenerationRequest } from '../../job/generation-request.ts';
import type { RawImage } from '../../job/raw-image.ts';
import type { PipelineDurations, PipelineStage } from '../../job/stages.ts';
import { batchesOf, joined } from '../batches.ts';
import { notAnImage, notFinite } from '../parts/check-image.ts';
import type { ClipTokenizer } from '../parts/clip-tokenizer.ts';
import { checkRequest } from './check-request.ts';
import { guide, isGuided } from '../parts/guidance.ts';
import { toRgb } from '../parts/image-processor.ts';
import type { Denoiser, FullPrecision, Networks, TextEncoder } from '../parts/networks.ts';
import { TorchCpuGenerator } from '../../noise/torch-cpu-random.ts';
import type { Scheduler } from '../../schedulers/scheduler.ts';
import { type CheckpointScheduler, createScheduler } from '../../schedulers/scheduler-registry.ts';

/** How much of a cut prompt's rest its warning quotes. */
const CUT_TEXT_LENGTH = 300;

export interface PipelineParts extends Networks {
  readonly tokenizer: ClipTokenizer;
  /** Where the networks compute in less than float32: what an image is drawn with again when it overflowed. */
  readonly fullPrecision?: FullPrecision;
  readonly scheduler: CheckpointScheduler;
  /** How many images may share one pass of the UNet. */
  readonly maxBatchImages: number;
  /** Lets messages in between two steps; a network blocks the thread while it runs. */
  readonly yieldToEventLoop: () => Promise<void>;
}

export interface PipelineJob {
  readonly jobId: string;
  readonly request: ResolvedGenerationRequest;
  /** What the request begins with. */
  readonly images?: readonly RawImage[];
}

interface PipelineProgress {
  readonly stage: PipelineStage;
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
  onDone(jobId: string, warnings: readonly string[], durationsMs: PipelineDurations): void;
  onFailed(jobId: string, error: Text2ImgError): void;
}

/** [T, D] each */
interface Embeddings {
  readonly promptEmbeds: Float32Array;
  readonly negativePromptEmbeds: Float32Array;
}

/** A job on its way. */
interface ActiveJob extends PipelineJob, Embeddings {
  readonly warnings: string[];
  readonly durationsMs: Record<PipelineStage, number>;
  stepsDone: number;
  stepsTotal: number;
  imagesLeft: number;
  ended: boolean;
}

/** One image on its way. */
interface ActiveImage {
  readonly job: ActiveJob;
  readonly denoiser: Denoiser;
  /** It is drawn in float32 because it overflowed in lower precision. */
  readonly isAgain: boolean;
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
    const { request, jobId, images = [] } = job;
    const startMs = performance.now();
    try {
      if (images.length > 0)
        throw new Text2ImgError(
          'invalid_parameter',
          `this model reads no input image; the request has ${images.length}.`,
        );
      checkRequest(request, this.#parts.vae.scaleFactor);
      const steps = createScheduler(request.scheduler, this.#parts.scheduler, request.numInferenceSteps).timesteps
        .length;
      const stepsTotal = steps * request.numImages;
      observer.onProgress(jobId, { stage: 'encode', step: 0, steps: stepsTotal });
      const warnings = this.#sizeWarnings(request);
      const embeddings = await this.#encodeBoth(request, warnings);
      await this.#parts.yieldToEventLoop();
      return {
        ...job,
        warnings,
        ...embeddings,
        durationsMs: { encode: performance.now() - startMs, denoise: 0, decode: 0 },
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

  /** Where the autoencoder cannot draw the size that was asked for. */
  #sizeWarnings({ widthPx, heightPx }: ResolvedGenerationRequest): string[] {
    const { scaleFactor } = this.#parts.vae;
    const [width, height] = [widthPx - (widthPx % scaleFactor), heightPx - (heightPx % scaleFactor)];
    if (width === widthPx && height === heightPx) return [];
    return [
      `The image is ${width}×${height} pixels, not ${widthPx}×${heightPx}: this model draws multiples of ${scaleFactor}.`,
    ];
  }

  /** @throws `invalid_image` */
  async #encodeBoth(request: ResolvedGenerationRequest, warnings: string[]): Promise<Embeddings> {
    const negativePromptEmbeds = await this.#encode(request.negativePrompt, 'negative prompt', warnings);
    return { negativePromptEmbeds, promptEmbeds: await this.#encode(request.prompt, 'prompt', warnings) };
  }

  /** @returns [T, D] @throws `invalid_image` */
  async #encode(text: string, what: string, warnings: string[]): Promise<Float32Array> {
    const { tokenizer, textEncoder, fullPrecision } = this.#parts;
    const { inputIds, cutText } = tokenizer.tokenize(text);
    if (cutText !== undefined) {
      warnings.push(
        `The ${what} was cut because CLIP reads at most ${tokenizer.maxTokens} tokens; left out: ${quote(cutText, CUT_TEXT_LENGTH)}`,
      );
    }
    const whose = `the text encoder’s result for the ${what}`;
    const embeddings = await textEncoder.encode(inputIds, 1);
    const fault = notFinite(embeddings, whose);
    if (fault === undefined) return embeddings;
    if (fullPrecision === undefined) throw fault;
    const full: TextEncoder = await fullPrecision.textEncoder();
    const again = await full.encode(inputIds, 1);
    const lastFault = notFinite(again, whose);
    if (lastFault !== undefined) throw lastFault;
    warnings.push(`The ${what} was encoded again in float32, because the result in lower precision was not finite.`);
    return again;
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
    const { denoiser } = this.#parts;
    return { job, denoiser, isAgain: false, imageIndex, seed, generator, scheduler, latents };
  }

  async #drawBatch(images: readonly ActiveImage[], observer: PipelineObserver): Promise<void> {
    const timesteps = images[0]?.scheduler.timesteps ?? [];
    let alive = images;
    for (const [index, timestep] of timesteps.entries()) {
      alive = withoutCancelled(alive, observer);
      if (alive.length === 0) return;
      const startMs = performance.now();
      await this.#denoise(alive, timestep);
      const stepMs = performance.now() - startMs;
      for (const job of new Set(alive.map((image) => image.job))) job.durationsMs.denoise += stepMs;
      for (const { job } of alive) {
        job.stepsDone++;
        observer.onProgress(job.jobId, { stage: 'denoise', step: job.stepsDone, steps: job.stepsTotal });
      }
      alive = await this.#withoutSpoilt(alive, `the latents after step ${index + 1} of ${timesteps.length}`, observer);
      await this.#parts.yieldToEventLoop();
    }
    for (const image of alive) {
      if (withoutCancelled([image], observer).length === 0) continue;
      await this.#decode(image, observer);
      await this.#parts.yieldToEventLoop();
    }
  }

  /** The images whose latents are finite; each other one is drawn again in float32 or fails, and touches none of them. */
  async #withoutSpoilt(
    images: readonly ActiveImage[],
    what: string,
    observer: PipelineObserver,
  ): Promise<readonly ActiveImage[]> {
    const good: ActiveImage[] = [];
    for (const image of images) {
      const fault = notFinite(image.latents, what);
      if (fault === undefined) good.push(image);
      else await this.#drawAgain(image, fault, observer);
    }
    return good;
  }

  async #drawAgain(image: ActiveImage, fault: Text2ImgError, observer: PipelineObserver): Promise<void> {
    const { job, imageIndex, scheduler, isAgain } = image;
    const { fullPrecision } = this.#parts;
    if (fullPrecision === undefined || isAgain) return endFailed(job, fault, observer);
    const denoiser = await fullPrecision.denoiser();
    const again = { ...this.#prepareImage(job, imageIndex), denoiser, isAgain: true };
    job.stepsTotal += scheduler.timesteps.length;
    job.warnings.push(
      `Image ${imageIndex + 1} was drawn again in float32, because its latents in lower precision were not finite.`,
    );
    await this.#drawBatch([again], observer);
  }

  /** One step of every image, in one pass of the UNet. */
  async #denoise(images: readonly ActiveImage[], timestep: number): Promise<void> {
    const { denoiser, job: leader } = images[0] as ActiveImage;
    const first = leader.request;
    const guided = isGuided(first.guidanceScale);
    const inputs = images.map(({ scheduler, latents }) => scheduler.scaleModelInput(latents, timestep));
    const conditional = images.map(({ job }) => job.promptEmbeds);
    const unconditional = images.map(({ job }) => job.negativePromptEmbeds);
    const sample = joined(guided ? [...inputs, ...inputs] : inputs); // [B or 2B, C, h, w]
    const encoderHiddenStates = joined(guided ? [...unconditional, ...conditional] : conditional); // [B or 2B, T, D]
    const shape = [guided ? images.length * 2 : images.length, ...this.#latentShape(first)] as const;
    const noisePred = await denoiser.predict({ sample, shape, timestep, encoderHiddenStates });
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
    const { scaleFactor } = this.#parts.vae;
    observer.onProgress(job.jobId, { stage: 'decode', step: job.stepsDone, steps: job.stepsTotal });
    const [, height, width] = this.#latentShape(job.request);
    const [heightPx, widthPx] = [height * scaleFactor, width * scaleFactor];
    const startMs = performance.now();
    const decoded = await this.#pixels(image, heightPx * widthPx);
    job.durationsMs.decode += performance.now() - startMs;
    if (decoded instanceof Text2ImgError) return endFailed(job, decoded, observer);
    observer.onImage(job.jobId, { imageIndex, seed, widthPx, heightPx, rgb: toRgb(decoded, heightPx * widthPx) });
    job.imagesLeft--;
    if (job.imagesLeft === 0 && !job.ended) {
      job.ended = true;
      observer.onDone(job.jobId, job.warnings, job.durationsMs);
    }
  }

  /** @returns [1, 3, H, W], or why there is no image */
  async #pixels({ job, imageIndex, latents }: ActiveImage, pixels: number): Promise<Float32Array | Text2ImgError> {
    const { vae, fullPrecision } = this.#parts;
    const scaled = latents.map((value) => value / vae.scalingFactor);
    const shape = this.#latentShape(job.request);
    const decoded = await vae.decode(scaled, shape);
    const fault = notAnImage(decoded, pixels);
    if (fault === undefined) return decoded;
    if (fullPrecision === undefined) return fault;
    const again = await (await fullPrecision.vae()).decode(scaled, shape);
    const lastFault = notAnImage(again, pixels);
    if (lastFault !== undefined) return lastFault;
    job.warnings.push(
      `Image ${imageIndex + 1} was decoded again in float32, because the result in lower precision was no image.`,
    );
    return again;
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
