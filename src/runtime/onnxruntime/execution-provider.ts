/**
 * Which device the networks run on. A provider that ONNX Runtime knows may still be unable to load (CUDA's libraries are not in its
 * package) or find no device, and only trying tells: a graph of one addition is run on it.
 */
import './no-telemetry.ts';
import { listSupportedBackends } from 'onnxruntime-node';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { messageOf } from '../../lib/disk-errors.ts';
import { quote } from '../../lib/foreign-text.ts';
import { encodeModel, ELEMENT_TYPES, type ValueInfoProto } from '../../onnx/onnx-schema.ts';
import { createSession } from './session.ts';
import type { ComputeType } from '../../onnx/graph.ts';
import type { ExecutionProvider } from '../contract.ts';

interface ProviderProbe {
  readonly provider: ExecutionProvider;
  readonly available: boolean;
  /** Why not, or what it runs on. */
  readonly detail: string;
}

export interface ChosenDevice {
  readonly provider: ExecutionProvider;
  readonly computeType: ComputeType;
  /** A sentence for the log. */
  readonly reason: string;
}

const DEVICE_SYNTAX = 'auto, cpu, cuda, cuda:N, webgpu';

/** @throws `invalid_option` */
function parseDevice(device: string): ExecutionProvider | 'auto' {
  if (device === 'auto') return 'auto';
  if (device === 'cpu' || device === 'webgpu') return { name: device };
  const cuda = /^cuda(?::(\d{1,3}))?$/.exec(device);
  if (cuda !== null) return { name: 'cuda', deviceId: Number(cuda[1] ?? 0) };
  throw new Text2ImgError('invalid_option', `the device is ${quote(device)}; allowed: ${DEVICE_SYNTAX}.`);
}

/** @param computeType the precision that the provider is to add two numbers in */
export async function probeProvider(
  provider: ExecutionProvider,
  computeType: ComputeType = 'float32',
): Promise<ProviderProbe> {
  const known = listSupportedBackends().some((backend) => backend.name === provider.name);
  if (!known)
    return { provider, available: false, detail: `this build of ONNX Runtime has no ${provider.name} provider` };
  try {
    await using session = await createSession(
      {
        model: additionModel(computeType),
        weightsFolder: '/',
        weightFiles: [],
        weightBytes: 0,
        largestInlineBytes: 0,
        flops: 0,
      },
      { provider, threads: 1, spin: false },
    );
    const { y } = await session.run({ x: { data: Float32Array.of(1, 2), shape: [2] } });
    if (y?.data[1] !== 4)
      return { provider, available: false, detail: `the ${provider.name} provider gave a wrong sum` };
    return { provider, available: true, detail: `${provider.name} answers in ${computeType}` };
  } catch (error) {
    return { provider, available: false, detail: messageOf(error) };
  }
}

/** `y = x + x`, computed in `computeType`. */
function additionModel(computeType: ComputeType): Uint8Array {
  const info = (name: string): ValueInfoProto => ({
    name,
    type: { tensorType: { elemType: ELEMENT_TYPES.float32, shape: { dim: [{ dimParam: 'n' }] } } },
  });
  const cast = (from: string, to: string, type: number): object => ({
    name: to,
    opType: 'Cast',
    domain: '',
    input: [from],
    output: [to],
    attribute: [{ name: 'to', type: 2, i: type }],
  });
  return encodeModel({
    irVersion: 9,
    producerName: 'text2img',
    opsetImport: [{ domain: '', version: 20 }],
    graph: {
      name: 'probe',
      node: [
        cast('x', 'xc', ELEMENT_TYPES[computeType]),
        { name: 'sum', opType: 'Add', domain: '', input: ['xc', 'xc'], output: ['sum'], attribute: [] },
        cast('sum', 'y', ELEMENT_TYPES.float32),
      ] as never,
      initializer: [],
      input: [info('x')],
      output: [info('y')],
    },
  });
}

/**
 * Resolves `--device` and `--dtype`. `auto` takes CUDA where its provider loads and a GPU answers, else the CPU.
 * On a GPU weights and arithmetic are float16 unless float32 is asked for or the GPU lacks it.
 * @throws `invalid_option`, `device_unavailable`
 */
export async function chooseDevice(device: string, dtype: 'auto' | ComputeType): Promise<ChosenDevice> {
  const wanted = parseDevice(device);
  if (wanted === 'auto') {
    const cuda = await probeProvider({ name: 'cuda', deviceId: 0 });
    if (!cuda.available) return onCpu(dtype, `no CUDA: ${cuda.detail}`);
    return onGpu(cuda.provider, dtype, 'a CUDA GPU answers');
  }
  if (wanted.name === 'cpu') return onCpu(dtype, 'asked for');
  const probe = await probeProvider(wanted);
  if (!probe.available) {
    const advice =
      wanted.name === 'cuda' ? ' "text2img setup cuda" fetches its libraries; an NVIDIA driver must be installed.' : '';
    throw new Text2ImgError(
      'device_unavailable',
      `the device ${quote(device)} cannot be used: ${probe.detail}.${advice}`,
    );
  }
  return onGpu(wanted, dtype, 'asked for');
}

function onCpu(dtype: 'auto' | ComputeType, why: string): ChosenDevice {
  const note = dtype === 'float16' ? '; float16 was asked for, but the CPU computes in float32' : '';
  return { provider: { name: 'cpu' }, computeType: 'float32', reason: `cpu, float32 (${why}${note})` };
}

async function onGpu(provider: ExecutionProvider, dtype: 'auto' | ComputeType, why: string): Promise<ChosenDevice> {
  if (dtype === 'float32') return { provider, computeType: 'float32', reason: `${provider.name}, float32 (${why})` };
  const half = await probeProvider(provider, 'float16');
  if (half.available) return { provider, computeType: 'float16', reason: `${provider.name}, float16 (${why})` };
  return {
    provider,
    computeType: 'float32',
    reason: `${provider.name}, float32 (${why}; float16 does not work on it: ${half.detail})`,
  };
}
