/** Opens the denoising network and the autoencoder of a latent diffusion model: they become the functions that the pipeline calls. */
import type { CheckpointNetwork } from '../../checkpoint/checkpoint.ts';
import { omitUndefined } from '../../lib/omit-undefined.ts';
import type { UNet2DConditionConfig } from '../../networks/unet-2d-condition-config.ts';
import { float32, floatsOf } from '../../runtime/tensors.ts';
import type { LoadTools, OpenNetworkOptions } from '../family.ts';
import type { Denoiser, FullPrecision, Networks, VaeDecoder } from './networks.ts';
import { openDenoiser } from './open-denoiser.ts';
import { type VaeConfig, vaeScaleFactor } from './vae-sizes.ts';
import { requireTiles, tiledDecoder } from './vae-tiles.ts';

type Precision = Pick<OpenNetworkOptions, 'computeType'>;
const FULL: Precision = { computeType: 'float32' };

type Vae = Pick<CheckpointNetwork<VaeConfig>, 'networkClass' | 'config' | 'configPath'>;

/** The part of a checkpoint that is opened here. */
interface LatentCheckpoint {
  readonly networks: {
    readonly unet: CheckpointNetwork<UNet2DConditionConfig>;
    readonly vae: Vae;
  };
}

interface LatentOptions {
  readonly vaeStatistics?: VaeDecoder['statistics'];
  /** Where the autoencoder overflows in the device's compute type. */
  readonly vaePrecision?: Precision;
}

/**
 * The denoising network and the autoencoder, and where the device computes in less than float32 the same in float32.
 * @throws `unsupported_config` for tiling with an autoencoder whose tiles do not join, and all of `LoadTools.open`
 */
export async function openLatentNetworks(
  { networks: { unet, vae } }: LatentCheckpoint,
  tools: LoadTools,
  { vaeStatistics, vaePrecision = {} }: LatentOptions = {},
): Promise<Networks & { readonly fullPrecision?: FullPrecision }> {
  if (tools.settings.vaeTiling) requireTiles(vae);
  const denoiser = (precision: Precision): Promise<Denoiser> => openDenoiser(unet.config, tools, precision);
  const decoder = async (precision: Precision): Promise<VaeDecoder> => ({
    ...(await openVae(vae, tools, precision)),
    ...omitUndefined({ statistics: vaeStatistics }),
  });
  const networks = { denoiser: await denoiser({}), vae: await decoder(vaePrecision) };
  if (tools.settings.computeType === 'float32') return networks;
  const isWide =
    vae.networkClass.computeType(vae.config, vaePrecision.computeType ?? tools.settings.computeType) === 'float32';
  return {
    ...networks,
    fullPrecision: { denoiser: () => denoiser(FULL), ...(isWide ? {} : { vae: () => decoder(FULL) }) },
  };
}

async function openVae(vae: Vae, tools: LoadTools, precision: Precision): Promise<VaeDecoder> {
  const { config } = vae;
  const network = await tools.open('vae', { use: 'once', ...precision });
  const decoder: VaeDecoder = {
    scaleFactor: vaeScaleFactor(config),
    scalingFactor: config.scaling_factor,
    decode: async (latents, shape, signal) =>
      floatsOf(await network.run({ latent_sample: float32(latents, [1, ...shape]) }, { signal }), 'sample'),
  };
  return tools.settings.vaeTiling ? tiledDecoder(decoder, vae) : decoder;
}
