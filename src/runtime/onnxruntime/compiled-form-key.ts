/** What ONNX Runtime's compiled graph for a CPU depends on beside the graph, and the file that it lies in: for the binding and the C API alike. */
import { processorIdentity } from '../processor.ts';
import { onnxRuntimeVersion } from './version.ts';

export const MODEL_FILE = 'model.onnx';

export function compiledFormKey(): string {
  return onnxRuntimeVersion() + processorIdentity();
}
