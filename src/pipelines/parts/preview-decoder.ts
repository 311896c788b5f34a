/**
 * Decodes previews with a TAESD. The latents are made smaller first, so that a preview of any image takes the same time. A decoder of eight pixels a
 * latent gets 32 × 32 of them. docs/decisions/previews.md has what it costs.
 */
import type { CheckpointNetwork } from '../../checkpoint/checkpoint.ts';
import { PREVIEW_VAE } from '../../checkpoint/open-vae.ts';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { MAX_PREVIEW_PX, type RawImage } from '../../job/raw-image.ts';
import { quote } from '../../lib/foreign-text.ts';
import type { AutoencoderTinyConfig } from '../../networks/autoencoder-tiny-config.ts';
import { float32, floatsOf } from '../../runtime/tensors.ts';
import type { LoadTools } from '../family.ts';
import { fitRgbFactors } from './fit-rgb-factors.ts';
import { toRgb } from './image-processor.ts';
import { otherSpaceOf, type RgbFactors } from './latents-to-rgb.ts';
import type { VaeDecoder } from './networks.ts';
import { unscaled } from './unscale-latents.ts';
import { vaeScaleFactor } from './vae-sizes.ts';

type LatentShape = readonly [channels: number, height: number, width: number];

/** @param latents [C, h, w], as the denoising network sees them */
export type PreviewDecoder = (latents: Float32Array, shape: LatentShape) => Promise<RawImage>;

export interface PreviewDecoderOptions {
  /** The model's own autoencoder. */
  readonly vae: VaeDecoder;
  readonly latentChannels: number;
  /** Of the model's latents, where they are known: a TAESD for other ones is refused. */
  readonly rgbFactors: RgbFactors | undefined;
  /** By which the family's latents are multiplied. Latents with statistics are brought back to it. */
  readonly latentScale: number;
}

/** @throws `unsupported_config` for a TAESD of other latents, and all of `LoadTools.open`; undefined: there is none */
export async function openPreviewDecoder(
  tools: Pick<LoadTools, 'open' | 'preview'>,
  { vae, latentChannels, rgbFactors, latentScale }: PreviewDecoderOptions,
): Promise<PreviewDecoder | undefined> {
  const { preview } = tools;
  if (preview === undefined) return undefined;
  proveLatents(preview, latentChannels);
  const taesd = await openTaesd(preview, tools);
  await proveSpace(preview, taesd, { latentChannels, rgbFactors });
  return async (latents, shape) => {
    const own = vae.statistics === undefined ? latents : unscaled(latents, vae).map((value) => value * latentScale);
    const small = shrunken(own, shape, strideOf(shape, taesd.scaleFactor));
    const [, height, width] = small.shape;
    const [heightPx, widthPx] = [height * taesd.scaleFactor, width * taesd.scaleFactor];
    const decoded = await taesd.decode(unscaled(small.latents, taesd), small.shape); // [1, 3, H, W]
    return { widthPx, heightPx, channels: 3, pixels: toRgb(decoded, heightPx * widthPx) };
  };
}

async function openTaesd(
  { config }: CheckpointNetwork<AutoencoderTinyConfig>,
  { open }: Pick<LoadTools, 'open'>,
): Promise<VaeDecoder> {
  const network = await open(PREVIEW_VAE, { use: 'once' });
  return {
    scaleFactor: vaeScaleFactor(config),
    scalingFactor: config.scaling_factor,
    decode: async (latents, shape, signal) =>
      floatsOf(await network.run({ latent_sample: float32(latents, [1, ...shape]) }, { signal }), 'sample'),
  };
}

function proveLatents({ config, configPath }: CheckpointNetwork<AutoencoderTinyConfig>, latentChannels: number): void {
  const { latent_channels: decoded, out_channels: colours } = config;
  if (decoded !== latentChannels)
    throw new Text2ImgError(
      'unsupported_config',
      `--preview-vae: the TAESD of ${quote(configPath)} decodes latents of ${decoded} channels, but those of the model have ${latentChannels}. Name the one that was made for this family of models.`,
    );
  if (colours !== 3)
    throw new Text2ImgError(
      'unsupported_config',
      `--preview-vae: the TAESD of ${quote(configPath)} makes ${colours} channels; 3 are needed (red, green, blue).`,
    );
}

/** Families with latents of equal shape differ in what a channel means, and no configuration says it. So the colours that it makes decide. */
async function proveSpace(
  { configPath }: CheckpointNetwork<AutoencoderTinyConfig>,
  taesd: VaeDecoder,
  { latentChannels, rgbFactors }: Pick<PreviewDecoderOptions, 'latentChannels' | 'rgbFactors'>,
): Promise<void> {
  if (rgbFactors === undefined) return;
  const other = otherSpaceOf(await fitRgbFactors(taesd, latentChannels), rgbFactors);
  if (other === undefined) return;
  throw new Text2ImgError(
    'unsupported_config',
    `--preview-vae: the TAESD of ${quote(configPath)} was made for the latents of ${other}, and this model has other ones. Name the one of its own family.`,
  );
}

/** So many latents in each direction become one. */
function strideOf([, height, width]: LatentShape, scaleFactor: number): number {
  return Math.ceil((Math.max(height, width) * scaleFactor) / MAX_PREVIEW_PX);
}

interface Latents {
  readonly latents: Float32Array;
  readonly shape: LatentShape;
}

/** The mean of each `stride` × `stride` latents; of fewer at the edges. */
function shrunken(latents: Float32Array, shape: LatentShape, stride: number): Latents {
  if (stride === 1) return { latents, shape };
  const [channels, height, width] = shape;
  const [rows, columns] = [Math.ceil(height / stride), Math.ceil(width / stride)];
  const small = new Float32Array(channels * rows * columns);
  const counts = new Float32Array(rows * columns);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const place = Math.floor(y / stride) * columns + Math.floor(x / stride);
      counts[place] = (counts[place] ?? 0) + 1;
      for (let channel = 0; channel < channels; channel++) {
        const at = channel * rows * columns + place;
        small[at] = (small[at] ?? 0) + (latents[(channel * height + y) * width + x] ?? 0);
      }
    }
  return {
    latents: small.map((sum, index) => sum / (counts[index % counts.length] ?? 1)),
    shape: [channels, rows, columns],
  };
}
