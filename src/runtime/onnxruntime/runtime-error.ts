/** ONNX Runtime's messages as our errors, for its binding and its C API alike. */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { memoryRefusal } from '../../lib/memory-errors.ts';
import { errorText } from './error-text.ts';

/** @returns `engine_out_of_memory` or `inference_failed` */
export function runtimeError(message: string, options?: ErrorOptions): Text2ImgError {
  const refusal = memoryRefusal(message);
  if (refusal !== undefined)
    return new Text2ImgError('engine_out_of_memory', `there is not enough memory for the model: ${refusal}.`, options);
  return new Text2ImgError('inference_failed', `ONNX Runtime failed: ${errorText(message)}`, options);
}
