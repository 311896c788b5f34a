/** The key of ONNX Runtime's compiled graph for a CPU, and the file that it lies in. The binding and the C API share both. */
import { processorIdentity } from '../processor.ts';
import { onnxRuntimeVersion } from './version.ts';

export const MODEL_FILE = 'model.onnx';

export function compiledFormKey(): string {
  return onnxRuntimeVersion() + processorIdentity();
}
