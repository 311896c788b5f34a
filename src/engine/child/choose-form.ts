/** Decides which form the networks' graphs have: `--graph-form`, `--deterministic`, and what the device's trial says. */
import type { GraphForm } from '../../onnx/graph-form.ts';
import type { DeviceReport, Runtime } from '../../runtime/contract.ts';
import type { EngineSettings } from '../protocol.ts';

type FormSettings = Pick<EngineSettings, 'graphForm' | 'deterministic'>;

/** CUDA's GroupNorm adds up in any order (group_norm.cc), so `--deterministic` takes the portable form. */
export function mayFuse({ graphForm = 'auto', deterministic = false }: FormSettings): boolean {
  return graphForm === 'auto' && !deterministic;
}

interface RuntimeOnDevice {
  readonly runtime: Runtime;
  readonly device: string;
  /** Of a trial with the fused form; absent: the device is tried now. */
  readonly report?: DeviceReport | undefined;
}

export interface ChosenForm {
  readonly form: GraphForm;
  /** A sentence: the device has trouble with the faster form. */
  readonly warning?: string;
}

/** The fused form where the runtime has it for the device and the device's trial went well. */
export async function chooseForm(
  { runtime, device, report }: RuntimeOnDevice,
  settings: FormSettings,
): Promise<ChosenForm> {
  if (!mayFuse(settings) || runtime.graphForm?.(device) !== 'fused') return { form: 'portable' };
  const tried = report ?? (await runtime.devices({ only: device, triesFusedForm: true }))[0];
  const problem = tried?.fusedProblem;
  if (problem === undefined) return { form: 'fused' };
  return {
    form: 'portable',
    warning: `The networks run in the portable form, which is slower. The device ${device} has trouble with the fused form: ${problem}.`,
  };
}
