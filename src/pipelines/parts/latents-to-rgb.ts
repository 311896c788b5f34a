/** A small, cheap look at latents: each pixel is a linear function of one latent, without any network. */
import { MAX_PREVIEW_PX, type RawImage } from '../../job/raw-image.ts';

type Rgb = readonly [red: number, green: number, blue: number];

export interface RgbFactors {
  /** One row a channel: how much of it is in red, green and blue. */
  readonly rows: readonly Rgb[];
  /** Added to every pixel. */
  readonly bias?: Rgb;
}

/** Of the autoencoder of Stable Diffusion 1.x, fitted to its images. Source: ComfyUI comfy/latent_formats.py, SD15. */
export const STABLE_DIFFUSION_RGB_FACTORS: RgbFactors = {
  rows: [
    [0.3512, 0.2297, 0.3227],
    [0.325, 0.4974, 0.235],
    [-0.2829, 0.1762, 0.2721],
    [-0.212, -0.2616, -0.7177],
  ],
};

/** Of the autoencoder of Stable Diffusion XL. Source: the same file, SDXL. */
export const STABLE_DIFFUSION_XL_RGB_FACTORS: RgbFactors = {
  rows: [
    [0.3651, 0.4232, 0.4341],
    [-0.2533, -0.0042, 0.1068],
    [0.1076, 0.1111, -0.0362],
    [-0.3165, -0.2492, -0.2188],
  ],
  bias: [0.1084, -0.0175, -0.0011],
};

interface LatentSpace {
  readonly latentChannels: number;
  readonly scalingFactor: number;
  /** Its latents were brought to mean 0 and deviation 1. */
  readonly hasStatistics: boolean;
  /** A TAESD: it reads the latents of the family that it was made for, and has a scaling factor of its own. */
  readonly isTiny: boolean;
}

/** Scaling factors by which the autoencoders are known. */
const KNOWN_SPACES = [
  { scalingFactor: 0.18215, factors: STABLE_DIFFUSION_RGB_FACTORS, name: 'Stable Diffusion 1.x and 2.x' },
  { scalingFactor: 0.13025, factors: STABLE_DIFFUSION_XL_RGB_FACTORS, name: 'Stable Diffusion XL' },
] as const;

/**
 * The published factors of the two spaces have a cosine of 0.52. A decoder is of another space only where its colours are much nearer to that one than
 * to its own. One that is near to none passes.
 */
const [NEAR, FAR] = [0.75, 0.6];

/** @param family for a TAESD @returns undefined for latents that nobody has fitted: `fitRgbFactors` does */
export function knownRgbFactors(
  { latentChannels, scalingFactor, hasStatistics, isTiny }: LatentSpace,
  family: RgbFactors,
): RgbFactors | undefined {
  if (hasStatistics || latentChannels !== family.rows.length) return undefined;
  if (isTiny) return family;
  return KNOWN_SPACES.find((space) => Math.abs(space.scalingFactor - scalingFactor) < 1e-5)?.factors;
}

/** @param fitted to a decoder @param own of the model's latents @returns the name of the latents that it was made for instead; undefined: of its own, or nobody knows */
export function otherSpaceOf(fitted: RgbFactors, own: RgbFactors): string | undefined {
  if (cosine(fitted, own) > FAR) return undefined;
  const others = KNOWN_SPACES.filter(({ factors }) => factors !== own && factors.rows.length === fitted.rows.length);
  return others.find(({ factors }) => cosine(fitted, factors) > NEAR)?.name;
}

/** Of the rows, without the bias. */
function cosine(one: RgbFactors, other: RgbFactors): number {
  const [a, b] = [one.rows.flat(), other.rows.flat()];
  const product = (x: readonly number[], y: readonly number[]): number =>
    x.reduce((sum, value, index) => sum + value * (y[index] ?? 0), 0);
  return product(a, b) / Math.sqrt(product(a, a) * product(b, b));
}

/**
 * One pixel a latent, or one of every few where the image would be larger than a preview may be. From −1 … 1 to bytes, as ComfyUI's
 * Latent2RGBPreviewer does it.
 * @param latents [C, h, w], as the denoising network sees them @throws `RangeError` where there are not as many factors as channels
 */
export function latentsToRgb(
  latents: Float32Array,
  [channels, height, width]: readonly [channels: number, height: number, width: number],
  { rows, bias = [0, 0, 0] }: RgbFactors,
): RawImage {
  if (rows.length !== channels) throw new RangeError(`${rows.length} factors do not fit ${channels} channels`);
  const stride = Math.ceil(Math.max(width, height) / MAX_PREVIEW_PX);
  const [widthPx, heightPx] = [Math.ceil(width / stride), Math.ceil(height / stride)];
  const pixels = new Uint8Array(widthPx * heightPx * 3);
  for (let y = 0; y < heightPx; y++) {
    for (let x = 0; x < widthPx; x++) {
      const place = y * stride * width + x * stride;
      for (let colour = 0; colour < 3; colour++) {
        let value = bias[colour] ?? 0;
        for (const [channel, factor] of rows.entries())
          value += (latents[channel * height * width + place] ?? 0) * (factor[colour] ?? 0);
        pixels[(y * widthPx + x) * 3 + colour] = Math.min(1, Math.max(0, (value + 1) / 2)) * 255;
      }
    }
  }
  return { widthPx, heightPx, channels: 3, pixels };
}
