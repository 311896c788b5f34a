/** Resolves `--device` and `--dtype` to a device, and to the first runtime of the list that can use it. */
import { Text2ImgError } from '../errors/text2img-error.ts';
import { quote } from '../lib/foreign-text.ts';
import { omitUndefined } from '../lib/omit-undefined.ts';
import type { ComputeType } from '../onnx/graph.ts';
import type { DeviceReport, Runtime } from './contract.ts';

export interface ChosenDevice<R> {
  readonly runtime: R;
  readonly device: string;
  readonly kind: DeviceReport['kind'];
  readonly computeType: ComputeType;
  /** A few words for the log. */
  readonly reason: string;
  /** A runtime's message about a device that it cannot use. */
  readonly detail?: string;
  /** Of a GPU: as its maker calls it. */
  readonly name?: string;
  /** A sentence: a GPU is there, and nobody uses it. */
  readonly warning?: string;
}

const DEVICE_SYNTAX = 'auto, cpu, cuda, cuda:N, webgpu';

/** @throws `invalid_option` */
function parseDevice(device: string): string {
  if (['auto', 'cpu', 'webgpu'].includes(device)) return device;
  const cuda = /^cuda(?::(\d{1,3}))?$/.exec(device);
  if (cuda !== null) return `cuda:${Number(cuda[1] ?? 0)}`;
  throw new Text2ImgError('invalid_option', `the device is ${quote(device)}; allowed: ${DEVICE_SYNTAX}.`);
}

/**
 * `auto` takes a CUDA GPU if one answers, else the CPU. On a GPU the networks compute in float16, unless float32 is asked for or the GPU lacks it.
 * @param runtimes the preferred one first @throws `invalid_option`, `device_unavailable`
 */
export async function chooseDevice<R extends Pick<Runtime, 'devices'>>(
  runtimes: readonly [R, ...R[]],
  device: string,
  dtype: 'auto' | ComputeType,
): Promise<ChosenDevice<R>> {
  const wanted = parseDevice(device);
  const [preferred] = runtimes;
  // Nothing else is left to choose when the CPU does not answer, so it is not tried.
  if (wanted === 'cpu') return { runtime: preferred, ...onCpu(dtype, 'asked for') };
  let failed: DeviceReport | undefined;
  for (const runtime of runtimes) {
    const [report] = await runtime.devices({ only: wanted === 'auto' ? 'cuda:0' : wanted });
    if (report !== undefined && report.computeTypes.length > 0)
      return { runtime, ...onGpu(report, dtype, wanted === 'auto' ? 'a CUDA GPU answers' : 'asked for') };
    failed ??= report;
  }
  const problem = failed?.problem ?? `no runtime has a device ${quote(device)}`;
  const advice = failed?.advice === undefined ? '' : ` ${failed.advice}`;
  if (wanted === 'auto') {
    const isUnused = failed?.hasGpu === true;
    const reason = isUnused ? 'the GPU cannot be used, generating on the CPU' : 'no GPU, generating on the CPU';
    const warning = `Images are generated on the CPU, because the GPU of this machine cannot be used: ${problem}.${advice}`;
    return { runtime: preferred, ...onCpu(dtype, reason), detail: problem, ...(isUnused ? { warning } : {}) };
  }
  throw new Text2ImgError('device_unavailable', `the device ${quote(device)} cannot be used: ${problem}.${advice}`);
}

type Found = Omit<ChosenDevice<unknown>, 'runtime'>;

function onCpu(dtype: 'auto' | ComputeType, why: string): Found {
  const note = dtype === 'float16' ? '; float16 was asked for, but the CPU computes in float32' : '';
  // Refused before where the processor lacks it.
  const computeType = dtype === 'bfloat16' ? dtype : 'float32';
  return { device: 'cpu', kind: 'cpu', computeType, reason: `${why}${note}` };
}

function onGpu({ device, kind, computeTypes, problem, name }: DeviceReport, dtype: string, why: string): Found {
  const isHalf = dtype !== 'float32' && computeTypes.includes('float16');
  const facts = { device, kind, computeType: isHalf ? 'float16' : 'float32', ...omitUndefined({ name }) } as const;
  if (isHalf || dtype === 'float32') return { ...facts, reason: why };
  return { ...facts, reason: `${why}; float16 does not work on it`, ...omitUndefined({ detail: problem }) };
}
