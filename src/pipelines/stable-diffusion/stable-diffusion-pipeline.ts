/**
 * From prompts to pixels: tokens, embeddings, latents, steps, images, in the order of diffusers' StableDiffusionPipeline.
 * Source: diffusers pipelines/stable_diffusion/pipeline_stable_diffusion.py, StableDiffusionPipeline.__call__.
 *
 * Images of a batch share passes of the UNet, but each has its own generator, scheduler and latents, so it never depends on its neighbours.
 */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { quote } from '../../lib/foreign-text.ts';
import type { ResolvedGenerationRequest } from '../../job/generation-request.ts';
import type { RawImage } from '../../job/raw-image.ts';
import { TorchCpuGenerator } from '../../noise/torch-cpu-random.ts';
import { type CheckpointScheduler, createScheduler } from '../../schedulers/create-scheduler.ts';
import { passAt } from '../../schedulers/passes.ts';
import type { Scheduler } from '../../schedulers/scheduler.ts';
import type { PassPlan, Pipeline, PipelineJob, Prepared } from '../contract.ts';
import { notAnImage, notFinite } from '../parts/check-image.ts';
import type { ClipTokenizer } from '../parts/clip-tokenizer.ts';
import { guide, isGuided } from '../parts/guidance.ts';
import { toRgb } from '../parts/image-processor.ts';
import { latentsToRgb, STABLE_DIFFUSION_RGB_FACTORS } from '../parts/latents-to-rgb.ts';
import { joined } from '../parts/joined.ts';
import type { Denoiser, FullPrecision, Networks } from '../parts/networks.ts';
import { checkRequest } from './check-request.ts';

/** How much of a cut prompt's rest its warning quotes. */
const CUT_TEXT_LENGTH = 300;

export interface PipelineParts extends Networks {
  readonly tokenizer: ClipTokenizer;
  /** Where the networks compute in less than float32: an image that overflowed is generated again with these. */
  readonly fullPrecision?: FullPrecision;
  readonly scheduler: CheckpointScheduler;
}

/** [T, D] each */
interface Embeddings {
  readonly promptEmbeds: Float32Array;
  readonly negativePromptEmbeds: Float32Array;
}

/** One image on its way. */
interface ImageState extends Embeddings {
  readonly request: ResolvedGenerationRequest;
  readonly imageIndex: number;
  readonly denoiser: Denoiser;
  /** It is generated in float32 because it overflowed in lower precision. */
  readonly isAgain: boolean;
  readonly generator: TorchCpuGenerator;
  readonly scheduler: Scheduler;
  /** The job's. */
  readonly warnings: string[];
  /** [C, h, w] */
  latents: Float32Array;
  /** [C, h, w], what the latents become without their noise, as far as the scheduler says. */
  original: Float32Array | undefined;
}

interface Encoding {
  readonly text: string;
  readonly what: string;
  /** The job's. */
  readonly warnings: string[];
  readonly signal: AbortSignal;
}

type LatentShape = readonly [channels: number, height: number, width: number];

export class StableDiffusionPipeline implements Pipeline<ImageState> {
  readonly #parts: PipelineParts;

  constructor(parts: PipelineParts) {
    this.#parts = parts;
  }

  check({ request, images }: PipelineJob): PassPlan {
    if (images.length > 0)
      throw new Text2ImgError(
        'invalid_parameter',
        `this model reads no input image; the request has ${images.length}.`,
      );
    checkRequest(request, this.#parts.vae.scaleFactor);
    return { passes: this.#scheduler(request).passes.length, steps: request.numInferenceSteps };
  }

  async prepare({ request }: PipelineJob, signal: AbortSignal): Promise<Prepared<ImageState>> {
    const warnings = this.#sizeWarnings(request);
    const negativePromptEmbeds = await this.#encode({
      text: request.negativePrompt,
      what: 'negative prompt',
      warnings,
      signal,
    });
    const promptEmbeds = await this.#encode({ text: request.prompt, what: 'prompt', warnings, signal });
    const begin = (imageIndex: number, denoiser: Denoiser, isAgain: boolean): ImageState => {
      const generator = new TorchCpuGenerator(request.seed + imageIndex);
      const scheduler = this.#scheduler(request);
      const size = this.#latentShape(request).reduce((product, count) => product * count, 1);
      const latents = generator.next(size).map((value) => value * scheduler.initNoiseSigma);
      const embeddings = { promptEmbeds, negativePromptEmbeds };
      return {
        ...embeddings,
        request,
        imageIndex,
        denoiser,
        isAgain,
        generator,
        scheduler,
        warnings,
        latents,
        original: undefined,
      };
    };
    return {
      batchKey: '',
      warnings,
      begin: (imageIndex) => begin(imageIndex, this.#parts.denoiser, false),
      beginAgain: async (imageIndex, { isAgain }) => {
        const { fullPrecision } = this.#parts;
        if (fullPrecision === undefined || isAgain) return undefined;
        const again = begin(imageIndex, await fullPrecision.denoiser(), true);
        warnings.push(
          `Image ${imageIndex + 1} was generated again in float32, because its latents in lower precision were not finite.`,
        );
        return again;
      },
    };
  }

  /** One pass of the UNet. */
  async step(states: readonly ImageState[], pass: number, signal: AbortSignal): Promise<void> {
    const { request, denoiser, scheduler } = states[0] as ImageState;
    const { timestep } = passAt(scheduler.passes, pass);
    const guided = isGuided(request.guidanceScale);
    const inputs = states.map((state) => state.scheduler.scaleModelInput(state.latents, pass));
    const conditional = states.map(({ promptEmbeds }) => promptEmbeds);
    const unconditional = states.map(({ negativePromptEmbeds }) => negativePromptEmbeds);
    const sample = joined(guided ? [...inputs, ...inputs] : inputs); // [B or 2B, C, h, w]
    const encoderHiddenStates = joined(guided ? [...unconditional, ...conditional] : conditional); // [B or 2B, T, D]
    const shape = [guided ? states.length * 2 : states.length, ...this.#latentShape(request)] as const;
    const noisePred = await denoiser.predict({ sample, shape, timestep, encoderHiddenStates, signal });
    const size = noisePred.length / shape[0];
    const part = (index: number): Float32Array => noisePred.subarray(index * size, (index + 1) * size);
    for (const [index, state] of states.entries()) {
      const { guidanceScale } = state.request;
      const modelOutput = guided ? guide(part(index), part(states.length + index), guidanceScale) : part(index);
      const { scheduler: own, latents, generator: noise } = state;
      const stepped = own.step({ modelOutput, sample: latents, pass, noise });
      state.latents = stepped.sample;
      state.original = stepped.original;
    }
  }

  fault({ latents, scheduler }: ImageState, pass: number): Text2ImgError | undefined {
    return notFinite(latents, `the latents after step ${pass + 1} of ${scheduler.passes.length}`);
  }

  async preview({ latents, original = latents, request }: ImageState): Promise<RawImage> {
    return latentsToRgb(original, this.#latentShape(request), STABLE_DIFFUSION_RGB_FACTORS);
  }

  /** @throws `invalid_image` */
  async decode(state: ImageState, signal: AbortSignal): Promise<RawImage> {
    const { scaleFactor } = this.#parts.vae;
    const [, height, width] = this.#latentShape(state.request);
    const [heightPx, widthPx] = [height * scaleFactor, width * scaleFactor];
    const decoded = await this.#decodeLatents(state, signal); // [1, 3, H, W]
    return { widthPx, heightPx, channels: 3, pixels: toRgb(decoded, heightPx * widthPx) };
  }

  /** It made nothing but the networks' inputs. */
  async [Symbol.asyncDispose](): Promise<void> {}

  #scheduler({ scheduler, numInferenceSteps: steps }: ResolvedGenerationRequest): Scheduler {
    return createScheduler(scheduler, this.#parts.scheduler, { steps });
  }

  /** Where the autoencoder cannot generate the size that was asked for. */
  #sizeWarnings({ widthPx, heightPx }: ResolvedGenerationRequest): string[] {
    const { scaleFactor } = this.#parts.vae;
    const [width, height] = [widthPx - (widthPx % scaleFactor), heightPx - (heightPx % scaleFactor)];
    if (width === widthPx && height === heightPx) return [];
    return [
      `The image is ${width}×${height} pixels, not ${widthPx}×${heightPx}: this model generates multiples of ${scaleFactor}.`,
    ];
  }

  /** @returns [T, D] @throws `invalid_image` */
  async #encode({ text, what, warnings, signal }: Encoding): Promise<Float32Array> {
    const { tokenizer, textEncoder, fullPrecision } = this.#parts;
    const { inputIds, cutText } = tokenizer.tokenize(text);
    if (cutText !== undefined) {
      warnings.push(
        `The ${what} was cut because CLIP reads at most ${tokenizer.maxTokens} tokens; left out: ${quote(cutText, CUT_TEXT_LENGTH)}`,
      );
    }
    const whose = `the text encoder’s result for the ${what}`;
    const embeddings = await textEncoder.encode(inputIds, 1, signal);
    const fault = notFinite(embeddings, whose);
    if (fault === undefined) return embeddings;
    if (fullPrecision === undefined) throw fault;
    const full = await fullPrecision.textEncoder();
    const again = await full.encode(inputIds, 1, signal);
    const lastFault = notFinite(again, whose);
    if (lastFault !== undefined) throw lastFault;
    warnings.push(`The ${what} was encoded again in float32, because the result in lower precision was not finite.`);
    return again;
  }

  #latentShape({ widthPx, heightPx }: ResolvedGenerationRequest): LatentShape {
    const { denoiser, vae } = this.#parts;
    return [denoiser.latentChannels, Math.floor(heightPx / vae.scaleFactor), Math.floor(widthPx / vae.scaleFactor)];
  }

  /** @returns [1, 3, H, W] @throws `invalid_image` */
  async #decodeLatents(state: ImageState, signal: AbortSignal): Promise<Float32Array> {
    const { request, latents, imageIndex, warnings } = state;
    const { vae, fullPrecision } = this.#parts;
    const scaled = latents.map((value) => value / vae.scalingFactor);
    const shape = this.#latentShape(request);
    const pixels = shape[1] * shape[2] * vae.scaleFactor ** 2;
    const decoded = await vae.decode(scaled, shape, signal);
    const fault = notAnImage(decoded, pixels);
    if (fault === undefined) return decoded;
    if (fullPrecision === undefined) throw fault;
    const again = await (await fullPrecision.vae()).decode(scaled, shape, signal);
    const lastFault = notAnImage(again, pixels);
    if (lastFault !== undefined) throw lastFault;
    warnings.push(
      `Image ${imageIndex + 1} was decoded again in float32, because the result in lower precision was no image.`,
    );
    return again;
  }
}
