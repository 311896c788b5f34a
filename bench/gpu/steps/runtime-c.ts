/** (g) The same passes through ONNX Runtime's C API: with and without outputs that stay on the device, with and without a CUDA graph. */
import { type Report, StepEnds, type TaskOf } from '../step.ts';

export function runtimeCStep(task: TaskOf<'runtime-c'>, report: Report): Promise<void> {
  throw new StepEnds('not-built', `the runtime onnxruntime-c is not built yet ${task.device} ${String(report)}`);
}
