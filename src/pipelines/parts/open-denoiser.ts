/** Opens a UNet: it becomes the functions that the pipeline calls. */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import type { UNet2DConditionConfig } from '../../networks/unet-2d-condition-config.ts';
import { DEFAULT_BRANCH, largestBranch, shallowReadsPrompt } from '../../networks/unet-2d-branches.ts';
import type { DeviceTensor, Network, Tensors } from '../../runtime/contract.ts';
import { float32, floatsOf, isOnDevice } from '../../runtime/tensors.ts';
import type { LoadTools, OpenNetworkOptions } from '../family.ts';
import type { CachingDenoiser, Denoiser, DenoiserInput } from './networks.ts';
import type { Precision } from './precision.ts';

/** @throws all of `LoadTools.open` */
export async function openDenoiser(
  config: UNet2DConditionConfig,
  tools: LoadTools,
  precision: Precision,
): Promise<Denoiser> {
  const open = async (choice: Pick<OpenNetworkOptions, 'graph' | 'branch'>): Promise<Network> =>
    await tools.open('unet', { use: 'every-step', ...choice, ...precision });
  const first = await open({});
  return {
    latentChannels: config.in_channels,
    largestBranch: largestBranch(config),
    upload: tools.upload,
    predict: async (input) => floatsOf(await pass(first, input, { unread: ['feature'] }), 'out_sample'),
    caching: async (branch) => {
      const whole = branch === DEFAULT_BRANCH ? first : await open({ graph: 'whole', branch });
      const readsPrompt = shallowReadsPrompt(config, branch);
      return cachingDenoiser(whole, await open({ graph: 'shallow', branch }), readsPrompt);
    },
  };
}

function cachingDenoiser(whole: Network, shallow: Network, readsPrompt: boolean): CachingDenoiser {
  return {
    whole: async (input) => {
      const outputs = await pass(whole, input, { keep: ['feature'] });
      return { noisePred: floatsOf(outputs, 'out_sample'), feature: featureOf(outputs) };
    },
    shallow: async (input) => {
      const conditions = readsPrompt ? input.conditions : withoutPrompt(input.conditions);
      return floatsOf(await pass(shallow, { ...input, conditions }), 'out_sample');
    },
  };
}

function withoutPrompt(conditions: Tensors): Tensors {
  return Object.fromEntries(Object.entries(conditions).filter(([name]) => name !== 'encoder_hidden_states'));
}

/** As of `Network.run`. */
interface OutputOptions {
  readonly keep?: readonly string[];
  readonly unread?: readonly string[];
}

async function pass(
  network: Network,
  { sample, shape, timestep, conditions, signal }: DenoiserInput,
  { keep = [], unread }: OutputOptions = {},
): Promise<Tensors> {
  const inputs = {
    sample: float32(sample, shape),
    timestep: float32(Float32Array.of(timestep), [1]),
    ...conditions,
  };
  return await network.run(inputs, { keep, unread, signal });
}

function featureOf({ feature }: Tensors): DeviceTensor {
  if (feature !== undefined && isOnDevice(feature)) return feature;
  throw new Text2ImgError('internal', 'the whole network kept no feature.');
}
