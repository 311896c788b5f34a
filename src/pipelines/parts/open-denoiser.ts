/** Opens a UNet: it becomes the functions that the pipeline calls. */
import type { UNet2DConditionConfig } from '../../networks/unet-2d-condition-config.ts';
import { DEFAULT_BRANCH, largestBranch, shallowReadsPrompt } from '../../networks/unet-2d-branches.ts';
import type { HostTensors, Network } from '../../runtime/contract.ts';
import { float32, floatsOf } from '../../runtime/tensors.ts';
import type { LoadTools, OpenNetworkOptions } from '../family.ts';
import { batchedConditions, type Condition, type ConditionRow } from './conditions.ts';
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
    predict: async (input) => floatsOf(await pass(first, input), 'out_sample'),
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
      const outputs = await pass(whole, input);
      return { noisePred: floatsOf(outputs, 'out_sample'), features: rowsOf(outputs) };
    },
    shallow: async (input) => {
      const conditions = readsPrompt ? input.conditions : input.conditions.map(withoutPrompt);
      return floatsOf(await pass(shallow, { ...input, conditions }), 'out_sample');
    },
  };
}

function withoutPrompt(condition: Condition): Condition {
  return Object.fromEntries(Object.entries(condition).filter(([name]) => name !== 'encoder_hidden_states'));
}

async function pass(
  network: Network,
  { sample, shape, timestep, conditions, signal }: DenoiserInput,
): Promise<HostTensors> {
  const inputs = {
    sample: float32(sample, shape),
    timestep: float32(Float32Array.of(timestep), [1]),
    ...batchedConditions(conditions),
  };
  return await network.run(inputs, { signal });
}

function rowsOf(outputs: HostTensors): ConditionRow[] {
  const data = floatsOf(outputs, 'feature'); // [B, F, h', w']
  const [rows = 1, ...shape] = outputs['feature']?.shape ?? [];
  const size = data.length / rows;
  return Array.from({ length: rows }, (_, row) => ({ data: data.subarray(row * size, (row + 1) * size), shape }));
}
