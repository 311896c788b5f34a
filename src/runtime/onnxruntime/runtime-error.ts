/** ONNX Runtime's messages as our errors, for its binding and its C API alike. They are about memory, a GPU that cannot be used, or a failed run. */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { gpuFault } from '../../lib/gpu-errors.ts';
import { memoryRefusal } from '../../lib/memory-errors.ts';
import { errorText } from './error-text.ts';

/** @returns `engine_out_of_memory`, `device_unavailable`, `device_lost`, `engine_crashed` for a GPU's broken context, or `inference_failed` */
export function runtimeError(message: string, options?: ErrorOptions): Text2ImgError {
  const fault = gpuFault(message);
  const refusal = memoryRefusal(message);
  if (refusal !== undefined && (fault === undefined || fault.code === 'engine_out_of_memory')) {
    const advice = fault === undefined ? '' : ` ${fault.advice}`;
    const sentence = `there is not enough memory for the model: ${refusal}.${advice}`;
    return new Text2ImgError('engine_out_of_memory', sentence, options);
  }
  if (fault !== undefined) return new Text2ImgError(fault.code, `${fault.problem}. ${fault.advice}`, options);
  return new Text2ImgError('inference_failed', `ONNX Runtime failed: ${errorText(message)}`, options);
}
