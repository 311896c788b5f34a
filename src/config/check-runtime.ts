/** Options about the runtime that exclude each other. */
import { Text2ImgError } from '../errors/text2img-error.ts';
import type { Config } from './options.ts';

/** @throws `conflicting_options` */
export function checkRuntimeOptions({
  runtime,
  dtype,
  weights,
  deterministic,
  device,
}: Pick<Config, 'runtime' | 'dtype' | 'weights' | 'deterministic' | 'device'>): void {
  const isBfloat16 = dtype === 'bfloat16';
  const [gpu] = device.filter((name) => name !== 'auto' && name !== 'cpu');
  if (runtime === 'openvino' && gpu !== undefined)
    throw conflict(`--runtime openvino is for the CPU and cannot be used with --device ${gpu}`);
  if (runtime === 'onnxruntime-c' && gpu === 'webgpu')
    throw conflict(
      '--runtime onnxruntime-c is for the CPU and CUDA, and cannot be used with --device webgpu; give auto or onnxruntime',
    );
  if (isBfloat16 && gpu !== undefined)
    throw conflict(
      `--dtype bfloat16 is for the CPU and cannot be used with --device ${gpu}, which takes float16 or float32`,
    );
  if (weights === 'int8' && gpu !== undefined)
    throw conflict(
      `--weights int8 is for the CPU and cannot be used with --device ${gpu}; give --device cpu, or --weights float`,
    );
  if (runtime === 'openvino' && dtype === 'float16')
    throw conflict(
      '--runtime openvino computes in float32 or bfloat16 and cannot be used with --dtype float16; give auto, float32 or bfloat16',
    );
  if (isBfloat16 && (runtime === 'onnxruntime' || runtime === 'onnxruntime-c'))
    throw conflict(
      `--dtype bfloat16 needs OpenVINO and cannot be used with --runtime ${runtime}; give auto or openvino`,
    );
  if (deterministic && (isBfloat16 || runtime === 'openvino'))
    throw conflict(
      `--deterministic takes ONNX Runtime in float32 and cannot be used with ${isBfloat16 ? '--dtype bfloat16' : '--runtime openvino'}`,
    );
}

function conflict(sentence: string): Text2ImgError {
  return new Text2ImgError('conflicting_options', `${sentence}.`);
}
