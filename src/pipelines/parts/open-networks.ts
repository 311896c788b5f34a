/** Opens the denoising network and the autoencoder of a latent diffusion model: they become the functions that the pipeline calls. */
import type { CheckpointNetwork } from '../../checkpoint/checkpoint.ts';
import { omitUndefined } from '../../lib/omit-undefined.ts';
import { featureBytes } from '../../networks/unet-2d-branches.ts';
import type { UNet2DConditionConfig } from '../../networks/unet-2d-condition-config.ts';
import { float32, floatsOf } from '../../runtime/tensors.ts';
import type { LoadTools } from '../family.ts';
import type { Denoiser, FullPrecision, Networks, VaeDecoder } from './networks.ts';
import { openDenoiser } from './open-denoiser.ts';
import { gigabytesText } from '../../lib/gigabytes.ts';
import { type VaeConfig, vaeScaleFactor } from './vae-sizes.ts';
import { LatentMemory } from './latent-memory.ts';
import { knownRgbFactors, type RgbFactors } from './latents-to-rgb.ts';
import { FULL_PRECISION, type Precision } from './precision.ts';
import { openPreviewDecoder, type PreviewDecoder } from './preview-decoder.ts';
import { isTiny, requireTiles, tiledDecoder, tileSizes } from './vae-tiles.ts';

type Vae = Pick<CheckpointNetwork<VaeConfig>, 'networkClass' | 'config' | 'configPath'>;

/** The part of a checkpoint that is opened here. */
interface LatentCheckpoint {
  readonly networks: {
    readonly unet: CheckpointNetwork<UNet2DConditionConfig>;
    readonly vae: Vae;
  };
}

interface LatentOptions {
  /** Of previews of the family's own latents. */
  readonly rgbFactors: RgbFactors;
  /** By which the family's latents are multiplied, where they have no statistics. */
  readonly latentScale: number;
  readonly vaeStatistics?: VaeDecoder['statistics'];
  /** Where the autoencoder overflows in the device's compute type. */
  readonly vaePrecision?: Precision;
}

export interface OpenedNetworks extends Networks {
  readonly fullPrecision?: FullPrecision;
  readonly rgbFactors?: RgbFactors;
  readonly previewDecoder?: PreviewDecoder;
}

/**
 * The denoising network and the autoencoder, and where the device computes in less than float32 the same in float32.
 * @throws `unsupported_config` for tiling with an autoencoder whose tiles do not join, and all of `LoadTools.open`
 */
export async function openLatentNetworks(
  { networks: { unet, vae } }: LatentCheckpoint,
  tools: LoadTools,
  { rgbFactors: familyFactors, latentScale, vaeStatistics, vaePrecision = {} }: LatentOptions,
): Promise<OpenedNetworks> {
  if (tools.settings.vaeTiling) requireTiles(vae);
  const denoiser = (precision: Precision): Promise<Denoiser> => openDenoiser(unet.config, tools, precision);
  const decoder = async (precision: Precision): Promise<VaeDecoder> =>
    inMemory({ ...(await openVae(vae, tools, precision)), ...omitUndefined({ statistics: vaeStatistics }) }, vae, {
      memory: memoryOf({ unet, vae }, tools, precision),
      isTiled: tools.settings.vaeTiling,
    });
  const rgbFactors = knownRgbFactors(latentSpace(vae, vaeStatistics), familyFactors);
  const opened = { denoiser: await denoiser({}), vae: await decoder(vaePrecision) };
  const { latentChannels } = opened.denoiser;
  const networks = {
    ...opened,
    ...omitUndefined({
      memory: memoryOf({ unet, vae }, tools, vaePrecision),
      rgbFactors,
      previewDecoder: await openPreviewDecoder(tools, { vae: opened.vae, latentChannels, rgbFactors, latentScale }),
    }),
  };
  if (tools.settings.computeType === 'float32') return networks;
  const isWide =
    vae.networkClass.computeType(vae.config, vaePrecision.computeType ?? tools.settings.computeType) === 'float32';
  return {
    ...networks,
    fullPrecision: {
      denoiser: () => denoiser(FULL_PRECISION),
      ...(isWide ? {} : { vae: () => decoder(FULL_PRECISION) }),
    },
  };
}

function latentSpace({ config, networkClass }: Vae, statistics: VaeDecoder['statistics']) {
  const { latent_channels: latentChannels, scaling_factor: scalingFactor } = config;
  return { latentChannels, scalingFactor, hasStatistics: statistics !== undefined, isTiny: isTiny(networkClass) };
}

async function openVae(vae: Vae, tools: LoadTools, precision: Precision): Promise<VaeDecoder> {
  const { config } = vae;
  const network = await tools.open('vae', { use: 'once', ...precision });
  return {
    scaleFactor: vaeScaleFactor(config),
    scalingFactor: config.scaling_factor,
    decode: async (latents, shape, signal) =>
      floatsOf(await network.run({ latent_sample: float32(latents, [1, ...shape]) }, { signal }), 'sample'),
  };
}

function memoryOf(
  { unet, vae }: LatentCheckpoint['networks'],
  { shortage, settings }: LoadTools,
  precision: Precision,
): LatentMemory | undefined {
  if (shortage === undefined) return undefined;
  const tilesPx = [...(settings.vaeTiling ? [] : [undefined]), ...tileSizes(vae)];
  return new LatentMemory({
    shortage,
    precision,
    featureBytes: (branch, sizes) => featureBytes(unet.config, branch, sizes),
    scaleFactor: vaeScaleFactor(vae.config),
    tilesPx,
  });
}

/** The decoder in its own tiles if that is asked for, and in those that fit if memory is short. */
function inMemory(
  whole: VaeDecoder,
  vae: Vae,
  { memory, isTiled }: { readonly memory: LatentMemory | undefined; readonly isTiled: boolean },
): VaeDecoder {
  const usual = isTiled ? tiledDecoder(whole, vae) : whole;
  if (memory === undefined) return usual;
  return {
    ...usual,
    forMemory: (sizeLatents) => {
      const { tilePx, shortage } = memory.tiles(sizeLatents);
      if (shortage === undefined || tilePx === undefined) return { decoder: usual };
      const { needBytes, freeBytes } = shortage;
      return {
        decoder: tiledDecoder(whole, vae, tilePx),
        reason: `in tiles of ${tilePx}×${tilePx} pixels, because it needs up to ${gigabytesText(needBytes)} otherwise, and ${gigabytesText(freeBytes)} are free`,
      };
    },
  };
}
