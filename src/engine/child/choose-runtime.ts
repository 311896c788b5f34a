/** Decides which runtime the networks run on: `--runtime`, `--dtype`, `--deterministic`, and for `auto` what was measured on this machine. */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { messageOf } from '../../lib/disk-errors.ts';
import { omitUndefined } from '../../lib/omit-undefined.ts';
import type { BuiltGraph, ComputeType } from '../../onnx/graph.ts';
import type { ChosenDevice } from '../../runtime/choose-device.ts';
import type { DeviceReport, Runtime } from '../../runtime/contract.ts';
import { requireLibrary } from '../../runtime/onnxruntime-c/library.ts';
import { hasBfloat16 } from '../../runtime/openvino/bfloat16.ts';
import { findLibraries, requireLibraries } from '../../runtime/openvino/library-folder.ts';
import { ONNX_RUNTIME_C, openvinoIn } from '../../runtime/registry.ts';
import {
  isOpenvinoFaster,
  type Measurement,
  measurementPath,
  measureOnce,
  timesText,
} from '../../runtime/runtime-measurements.ts';
import { timePasses } from '../../runtime/time-passes.ts';
import type { EngineSettings } from '../protocol.ts';
import { mayFuse } from './choose-form.ts';

export interface ChosenRuntime {
  readonly runtime: Runtime;
  /** A few words for the log. */
  readonly reason: string;
  /** A sentence that the user should read. */
  readonly warning?: string;
  /** Of the device on this runtime, where it was asked on the way; it was tried with the fused form if the settings allow that. */
  readonly report?: DeviceReport;
}

type RuntimeSettings = Pick<
  EngineSettings,
  | 'runtime'
  | 'runtimeReason'
  | 'openvinoFolder'
  | 'dtype'
  | 'deterministic'
  | 'graphForm'
  | 'threads'
  | 'compileCacheFolder'
  | 'compileCacheBytes'
>;

/**
 * OpenVINO, bfloat16 and 8-bit weights are for the CPU here, so `auto` then means the CPU.
 * @throws `invalid_option` for bfloat16 on a processor without it, `runtime_unavailable`
 */
export function checkRuntime(
  {
    runtime,
    dtype,
    weights,
    openvinoFolder = '',
    device,
  }: Pick<EngineSettings, 'runtime' | 'dtype' | 'weights' | 'openvinoFolder' | 'device'>,
  canBfloat16: boolean = hasBfloat16(),
): string {
  if (dtype === 'bfloat16' && !canBfloat16)
    throw new Text2ImgError(
      'invalid_option',
      '--dtype bfloat16 is not allowed on this processor, which has neither AVX512_BF16 nor AMX; it must be auto, float32 or float16.',
    );
  const onCpu = device === 'auto' ? 'cpu' : device;
  if (runtime === 'onnxruntime-c') requireLibrary();
  if (runtime !== 'openvino' && dtype !== 'bfloat16') return weights === 'int8' ? onCpu : device;
  requireLibraries(openvinoFolder);
  return onCpu;
}

/** The denoising network, which takes most of the time, and the size of its input. */
export interface MeasuredNetwork {
  readonly graphFor: (computeType: ComputeType) => BuiltGraph;
  /** In latents, of an image of the model's default size. */
  readonly height: number;
  readonly width: number;
  /** Of one latent. */
  readonly pixels: number;
}

interface Choice {
  readonly device: ChosenDevice<Runtime>;
  /** undefined: the family names no network to measure. */
  readonly network: MeasuredNetwork | undefined;
  /** Networks with less are not measured: they load in less time than a measurement takes. */
  readonly minWeightBytes?: number;
}

const MIN_WEIGHT_BYTES = 100 * 2 ** 20;
const BUDGET_MS = 20_000;

/** Never throws: trouble with OpenVINO is a reason for ONNX Runtime. */
export async function chooseRuntime(settings: RuntimeSettings, choice: Choice): Promise<ChosenRuntime> {
  const { device, network } = choice;
  const { runtime, runtimeReason: asked = 'asked for', dtype, openvinoFolder = '', deterministic = false } = settings;
  const { compileCacheFolder } = settings;
  const onnxRuntime = (reason: string, warning?: string): ChosenRuntime => ({
    runtime: device.runtime,
    reason,
    ...omitUndefined({ warning }),
  });
  if (runtime === 'openvino' || dtype === 'bfloat16')
    return {
      runtime: openvinoIn(openvinoFolder),
      reason: runtime === 'openvino' ? asked : 'bfloat16 was asked for',
    };
  if (runtime === 'onnxruntime-c') return { runtime: ONNX_RUNTIME_C, reason: asked };
  if (runtime === 'onnxruntime') return onnxRuntime(asked);
  if (device.kind !== 'cpu') return await onGpu(device, settings);
  if (deterministic) return onnxRuntime('--deterministic');
  const libraries = findLibraries(openvinoFolder);
  if (libraries.state === 'broken')
    return onnxRuntime(
      'OpenVINO is broken',
      `OpenVINO is not used: ${libraries.problem}. Run "text2img setup openvino" to mend it.`,
    );
  if (libraries.state !== 'good') return onnxRuntime('OpenVINO is not set up');
  if (network === undefined || network.graphFor('float32').weightBytes < (choice.minWeightBytes ?? MIN_WEIGHT_BYTES))
    return onnxRuntime('the network is small');
  if (compileCacheFolder === null) return onnxRuntime('nothing is measured without a compile cache');
  try {
    const measurement = await measured({ ...settings, compileCacheFolder, openvinoFolder }, device, network);
    const faster = fasterOf(measurement, onnxRuntime, openvinoIn(openvinoFolder));
    // An earlier start may have measured, and a file of the same size or koffi may be broken since.
    if (faster.runtime.name === 'openvino') await loadOpenvino(openvinoFolder);
    return faster;
  } catch (error) {
    if (error instanceof Text2ImgError && error.code === 'runtime_unavailable')
      return onnxRuntime('OpenVINO is broken', `${error.message} ONNX Runtime is used instead.`);
    return onnxRuntime(`the runtimes could not be measured: ${messageOf(error)}`);
  }
}

/** The C API where it can use the device as well: its tensors stay there, and it sets what the binding cannot. */
async function onGpu(device: ChosenDevice<Runtime>, settings: RuntimeSettings): Promise<ChosenRuntime> {
  const { deterministic = false } = settings;
  const [report] = await ONNX_RUNTIME_C.devices({ only: device.device, triesFusedForm: mayFuse(settings) });
  if (report?.computeTypes.includes(device.computeType) === true)
    return { runtime: ONNX_RUNTIME_C, reason: 'tensors stay on the GPU', report };
  const { runtime } = device;
  if (report === undefined) return { runtime, reason: 'the only one for this device' };
  const { problem = `it does not compute in ${device.computeType}` } = report;
  return {
    runtime,
    reason: `ONNX Runtime’s C API cannot be used: ${problem}`,
    ...(deterministic
      ? { warning: 'TF32 stays on with this runtime. Set NVIDIA_TF32_OVERRIDE=0 to turn it off for --deterministic.' }
      : {}),
  };
}

function fasterOf(
  { times, problem }: Measurement,
  onnxRuntime: (reason: string, warning?: string) => ChosenRuntime,
  openvino: Runtime,
): ChosenRuntime {
  if (times !== undefined && isOpenvinoFaster(times))
    return { runtime: openvino, reason: `measured: ${timesText(times)}` };
  if (times !== undefined) return onnxRuntime(`measured: ${timesText(times)}`);
  const [reason, what] =
    problem === undefined
      ? ['measuring OpenVINO ended the engine twice', 'measuring it ended the engine twice']
      : [`OpenVINO failed: ${problem}`, 'it failed when it was measured'];
  return onnxRuntime(reason, `OpenVINO is not used, because ${what}. Run "text2img doctor" to check it.`);
}

/** @throws `runtime_unavailable`, for every reason */
async function loadOpenvino(folder: string): Promise<void> {
  const { openCore } = await import('../../runtime/openvino/core.ts');
  try {
    await openCore(folder);
  } catch (error) {
    throw new Text2ImgError('runtime_unavailable', messageOf(error), { cause: error });
  }
}

interface MeasureSettings extends RuntimeSettings {
  readonly compileCacheFolder: string;
  readonly openvinoFolder: string;
}

async function measured(
  { threads, compileCacheFolder: folder, compileCacheBytes: limitBytes, openvinoFolder }: MeasureSettings,
  { device, runtime }: ChosenDevice<Runtime>,
  network: MeasuredNetwork,
): Promise<Measurement> {
  const { graphFor, height, width, pixels } = network;
  const path = measurementPath(folder, graphFor('float32'), threads);
  return await measureOnce(folder, path, async () => {
    // A command mends a library that does not load, so that is no measurement to keep.
    await loadOpenvino(openvinoFolder);
    const openvino = openvinoIn(openvinoFolder);
    try {
      const { divisor, passMs } = await timePasses(
        [
          { runtime, graph: graphFor('float32') },
          { runtime: openvino, graph: graphFor('float32') },
          ...(hasBfloat16() ? [{ runtime: openvino, graph: graphFor('bfloat16') }] : []),
        ],
        { device, threads, height, width, budgetMs: BUDGET_MS, cache: { folder, limitBytes } },
      );
      const [onnxMs, openvinoMs, bfloat16Ms] = passMs;
      return {
        times: {
          width: Math.round(width / divisor) * pixels,
          height: Math.round(height / divisor) * pixels,
          divisor,
          onnxruntime_ms: onnxMs,
          ...omitUndefined({ openvino_ms: openvinoMs, openvino_bfloat16_ms: bfloat16Ms }),
          measured_at: new Date().toISOString(),
        },
      };
    } catch (error) {
      // Another time there may be more memory.
      if (error instanceof Text2ImgError && error.code === 'engine_out_of_memory') throw error;
      return { problem: messageOf(error) };
    }
  });
}
