/**
 * From prompts to pixels: conditions, latents, steps, images, in the order of diffusers' StableDiffusionPipeline and StableDiffusionXLPipeline. The
 * family's `Conditioner` makes the denoising network's other inputs.
 * Source: diffusers pipelines/stable_diffusion/pipeline_stable_diffusion.py, StableDiffusionPipeline.__call__.
 *
 * Images of a batch share passes of the UNet, but each has its own generator, scheduler and latents, so it never depends on its neighbours.
 */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import type { ResolvedGenerationRequest } from '../../job/generation-request.ts';
import type { RawImage } from '../../job/raw-image.ts';
import { imageNoise } from '../../noise/image-noise.ts';
import { omitUndefined } from '../../lib/omit-undefined.ts';
import type { NoiseSource } from '../../noise/noise-source.ts';
import { type CheckpointScheduler, createScheduler } from '../../schedulers/create-scheduler.ts';
import { passAt } from '../../schedulers/passes.ts';
import type { Scheduler } from '../../schedulers/scheduler.ts';
import type { FinishImage, PassPlan, Pipeline, PipelineJob, Prepared } from '../contract.ts';
import { isOutOfMemory, withoutMemory } from '../without-memory.ts';
import { notAnImage, notFinite } from './check-image.ts';
import { checkRequest } from './check-request.ts';
import type { Conditioner, Conditions } from './conditions.ts';
import { cachingWarnings, checkBranch, featureCaching, isWholePass } from './feature-caching.ts';
import { fitRgbFactors } from './fit-rgb-factors.ts';
import { guide, lastGuidedPass, rescaleGuidance } from './guidance.ts';
import { toRgb } from './image-processor.ts';
import { joined } from './joined.ts';
import type { PassMemory } from './latent-memory.ts';
import { latentsToRgb, type RgbFactors } from './latents-to-rgb.ts';
import type { Denoiser, DenoiserInput, FullPrecision, Networks, VaeDecoder } from './networks.ts';
import type { PreviewDecoder } from './preview-decoder.ts';
import { ResidentInputs, type Row } from './resident-inputs.ts';
import { unscaled } from './unscale-latents.ts';

export interface LatentDiffusionParts extends Networks {
  readonly conditioner: Conditioner;
  /** Where the networks compute in less than float32: an image that overflowed is generated again with these. */
  readonly fullPrecision?: FullPrecision;
  readonly scheduler: CheckpointScheduler;
  /** Of previews. Absent: they are fitted to the autoencoder at the first preview. */
  readonly rgbFactors?: RgbFactors;
  /** Decodes previews. Absent: they are linear functions of the latents. */
  readonly previewDecoder?: PreviewDecoder;
}

/** One image on its way. */
interface ImageState {
  readonly conditions: Conditions;
  readonly request: ResolvedGenerationRequest;
  readonly imageIndex: number;
  readonly denoiser: Denoiser;
  /** It is generated in float32 because it overflowed in lower precision. */
  readonly isAgain: boolean;
  readonly noise: NoiseSource;
  readonly scheduler: Scheduler;
  /** The job's. */
  readonly warnings: string[];
  /** [C, h, w] */
  latents: Float32Array;
  /** [C, h, w], what the latents become without their noise, as far as the scheduler says. */
  original: Float32Array | undefined;
  /** Of the batch, from its first pass on. */
  resident: ResidentInputs | undefined;
}

type LatentShape = readonly [channels: number, height: number, width: number];

interface DecodedLatents {
  readonly state: ImageState;
  /** [C, h, w], as the autoencoder takes them. */
  readonly latents: Float32Array;
  readonly shape: LatentShape;
  readonly signal: AbortSignal;
}

export class LatentDiffusion implements Pipeline<ImageState> {
  readonly #parts: LatentDiffusionParts;
  #rgbFactors: Promise<RgbFactors> | undefined;

  constructor(parts: LatentDiffusionParts) {
    this.#parts = parts;
  }

  check({ request, images }: PipelineJob): PassPlan {
    if (images.length > 0)
      throw new Text2ImgError(
        'invalid_parameter',
        `this model reads no input image; the request has ${images.length}.`,
      );
    checkRequest(request, this.#parts.vae.scaleFactor);
    this.#parts.conditioner.check(request);
    checkBranch(request, this.#parts.denoiser);
    this.#parts.memory?.requireRoom(request, this.#passOf(request, 1));
    return { passes: this.#scheduler(request).passes.length, steps: request.numInferenceSteps };
  }

  async prepare({ request }: PipelineJob, signal: AbortSignal): Promise<Prepared<ImageState>> {
    const warnings = [...this.#sizeWarnings(request), ...cachingWarnings(request, this.#scheduler(request).passes)];
    const conditions = await this.#parts.conditioner.encode({ request, warnings, signal });
    const begin = (imageIndex: number, denoiser: Denoiser, isAgain: boolean): ImageState => {
      const scheduler = this.#scheduler(request);
      const noise = imageNoise(request.seed + imageIndex, scheduler.noiseInterval);
      const size = this.#latentShape(request).reduce((product, count) => product * count, 1);
      const latents = noise.next(size).map((value) => value * scheduler.initNoiseSigma);
      return {
        conditions,
        request,
        imageIndex,
        denoiser,
        isAgain,
        noise,
        scheduler,
        warnings,
        latents,
        original: undefined,
        resident: undefined,
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

  /** One pass of the UNet. Images whose guidance has ended have one row in it, the others two. */
  async step(states: readonly ImageState[], pass: number, signal: AbortSignal): Promise<void> {
    const { request, scheduler } = states[0] as ImageState;
    const { timestep } = passAt(scheduler.passes, pass);
    if (pass === 0 && states.length > 1)
      this.#parts.memory?.requireBatch(request, this.#passOf(request, states.length));
    const inputs = new Map(states.map((state) => [state, state.scheduler.scaleModelInput(state.latents, pass)]));
    const guided = states.filter((state) => this.#isGuided(state, pass));
    const rows: Row<ImageState>[] = [
      ...guided.map((state) => ({ state, half: 'unconditional' }) as const),
      ...states.map((state) => ({ state, half: 'conditional' }) as const),
    ];
    const sample = joined(rows.map(({ state }) => inputs.get(state) ?? new Float32Array())); // [G + B, C, h, w]
    const shape = [rows.length, ...this.#latentShape(request)] as const;
    const noisePred = await predict({ rows, pass, resident: residentOf(states) }, { sample, shape, timestep, signal });
    const size = noisePred.length / rows.length;
    const part = (row: number): Float32Array => noisePred.subarray(row * size, (row + 1) * size);
    for (const [index, state] of states.entries()) {
      const conditional = part(guided.length + index);
      const unconditionalRow = guided.indexOf(state);
      const modelOutput =
        unconditionalRow === -1 ? conditional : guidedOutput(state.request, part(unconditionalRow), conditional);
      const { scheduler: own, latents, noise } = state;
      const stepped = own.step({ modelOutput, sample: latents, pass, noise });
      state.latents = stepped.sample;
      state.original = stepped.original;
    }
  }

  endPasses(states: readonly ImageState[]): void {
    for (const { resident } of states) resident?.[Symbol.dispose]();
  }

  fault({ latents, scheduler }: ImageState, pass: number): Text2ImgError | undefined {
    return notFinite(latents, `the latents after step ${pass + 1} of ${scheduler.passes.length}`);
  }

  async preview({ latents, original = latents, request }: ImageState): Promise<RawImage> {
    const { vae, denoiser, rgbFactors, previewDecoder } = this.#parts;
    if (previewDecoder !== undefined) return previewDecoder(original, this.#latentShape(request));
    // Kept where it fails, too: the next preview would fail in the same way.
    this.#rgbFactors ??=
      rgbFactors === undefined ? fitRgbFactors(vae, denoiser.latentChannels) : Promise.resolve(rgbFactors);
    return latentsToRgb(original, this.#latentShape(request), await this.#rgbFactors);
  }

  async decode(state: ImageState, signal: AbortSignal): Promise<FinishImage> {
    const { vae } = this.#parts;
    const { imageIndex, warnings } = state;
    const latents = unscaled(state.latents, vae);
    const shape = this.#latentShape(state.request);
    const { decoder = vae, reason } = vae.forMemory?.([shape[1], shape[2]]) ?? {};
    if (reason !== undefined) warnings.push(`Image ${imageIndex + 1} was decoded ${reason}.`);
    const decoded = await decoder.decode(latents, shape, signal);
    const [heightPx, widthPx] = [shape[1] * vae.scaleFactor, shape[2] * vae.scaleFactor];
    return async () => {
      const good = await this.#provenImage(decoded, { state, latents, shape, signal }); // [1, 3, H, W]
      return { widthPx, heightPx, channels: 3, pixels: toRgb(good, heightPx * widthPx) };
    };
  }

  #isGuided({ request, scheduler }: ImageState, pass: number): boolean {
    if (!this.#parts.conditioner.isGuided(request)) return false;
    return pass <= lastGuidedPass(scheduler.passes.length, request.guidanceStop);
  }

  /** It made nothing but the networks' inputs. */
  async [Symbol.asyncDispose](): Promise<void> {}

  #scheduler(request: ResolvedGenerationRequest): Scheduler {
    const { scheduler, numInferenceSteps: steps, eta, timesteps, sigmas, scheduleType } = request;
    return createScheduler(scheduler, this.#parts.scheduler, { steps, eta, timesteps, sigmas, scheduleType });
  }

  #passOf(request: ResolvedGenerationRequest, images: number): PassMemory {
    const rows = this.#parts.conditioner.isGuided(request) ? 2 * images : images;
    return { rows, ...omitUndefined({ branch: featureCaching(request)?.branch }) };
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

  #latentShape({ widthPx, heightPx }: ResolvedGenerationRequest): LatentShape {
    const { denoiser, vae } = this.#parts;
    return [denoiser.latentChannels, Math.floor(heightPx / vae.scaleFactor), Math.floor(widthPx / vae.scaleFactor)];
  }

  /** Itself, or the image decoded again in float32. @param decoded [1, 3, H, W] @throws `invalid_image` */
  async #provenImage(decoded: Float32Array, { state, latents, shape, signal }: DecodedLatents): Promise<Float32Array> {
    const { vae, fullPrecision } = this.#parts;
    const pixels = shape[1] * shape[2] * vae.scaleFactor ** 2;
    const fault = notAnImage(decoded, pixels);
    if (fault === undefined) return decoded;
    if (fullPrecision?.vae === undefined) throw fault;
    const again = await inFloat32(fullPrecision.vae, (full) => full.decode(latents, shape, signal), fault);
    const lastFault = notAnImage(again, pixels);
    if (lastFault !== undefined) throw lastFault;
    state.warnings.push(
      `Image ${state.imageIndex + 1} was decoded again in float32, because the result in lower precision was no image.`,
    );
    return again;
  }
}

/** @throws `fault` with the reason, where the memory does not suffice */
async function inFloat32(
  open: () => Promise<VaeDecoder>,
  decode: (vae: VaeDecoder) => Promise<Float32Array>,
  fault: Text2ImgError,
): Promise<Float32Array> {
  try {
    return await decode(await open());
  } catch (error) {
    throw isOutOfMemory(error) ? withoutMemory(fault) : error;
  }
}

/** The batch's. @param states that are left of it */
function residentOf(states: readonly ImageState[]): ResidentInputs {
  const { denoiser, resident = new ResidentInputs(denoiser.upload) } = states[0] as ImageState;
  for (const state of states) state.resident = resident;
  return resident;
}

/** One call of the denoising network: whole, or shallow where features are cached. @returns [rows, C, h, w] */
async function predict(
  {
    rows,
    pass,
    resident,
  }: { readonly rows: readonly Row<ImageState>[]; readonly pass: number; readonly resident: ResidentInputs },
  input: Omit<DenoiserInput, 'conditions'>,
): Promise<Float32Array> {
  const { request, denoiser, scheduler } = (rows[0] as Row<ImageState>).state;
  const conditions = await resident.conditions(rows);
  const caching = featureCaching(request);
  if (caching === undefined) return await denoiser.predict({ ...input, conditions });
  const network = await denoiser.caching(caching.branch);
  if (!isWholePass(scheduler.passes, pass, caching))
    return await network.shallow({ ...input, conditions: { ...conditions, feature: await resident.feature(rows) } });
  // Its memory is free for the pass.
  resident.forgetFeature();
  const { noisePred, feature } = await network.whole({ ...input, conditions });
  resident.keepFeature(rows, feature);
  return noisePred;
}

function guidedOutput(
  { guidanceScale, guidanceRescale }: ResolvedGenerationRequest,
  unconditional: Float32Array,
  conditional: Float32Array,
): Float32Array {
  const guided = guide(unconditional, conditional, guidanceScale);
  return (guidanceRescale ?? 0) > 0 ? rescaleGuidance(guided, conditional, guidanceRescale ?? 0) : guided;
}
