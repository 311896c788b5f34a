/** The check of ONNX Runtime's C API by `text2img doctor`: whether networks can run through it, which `auto` does with CUDA. */
import { type DoctorFinding, formText } from '../engine/doctor-probes.ts';
import { ONNX_RUNTIME_C } from '../runtime/registry.ts';
import type { CommandContext } from './command-context.ts';

const NAME = 'onnxruntime-c';

/** @param engineEnvironment of the processes that try it */
export async function inspectCApi(engineEnvironment: CommandContext['environment']): Promise<DoctorFinding> {
  const [cpu] = await ONNX_RUNTIME_C.devices({ only: 'cpu', environment: engineEnvironment });
  const { computeTypes = [], problem = 'it does not answer' } = cpu ?? {};
  if (computeTypes.length === 0)
    return {
      name: NAME,
      status: 'missing',
      detail: problem,
      advice: 'only CUDA needs it, and runs through ONNX Runtime’s Node binding without it; run "npm install"',
    };
  const [gpu] = await ONNX_RUNTIME_C.devices({ only: 'cuda:0', environment: engineEnvironment, triesFusedForm: true });
  const detail =
    gpu !== undefined && gpu.computeTypes.length > 0
      ? `auto takes it for cuda:0, in ${gpu.computeTypes.join(' and ')}${formText(gpu)}`
      : 'works; auto takes it for CUDA only';
  return { name: NAME, status: 'ok', detail };
}
