/** The program of a trial's child process. It writes its answer as one JSON line, and on request a second line about the fused form. */
import { writeSync } from 'node:fs';
import type { ComputeType } from '../onnx/graph.ts';
import { type DeviceAnswer, FUSED_PARAMETER } from './try-in-child.ts';

export interface TrialSteps {
  readonly add: (device: string) => Promise<DeviceAnswer>;
  /** Why the device cannot have the fused form. */
  readonly tryFused: (device: string, computeTypes: readonly ComputeType[]) => Promise<string | undefined>;
}

/** Takes the device from the process' parameters. */
export async function answerTrial({ add, tryFused }: TrialSteps): Promise<void> {
  const [device = '', form] = process.argv.slice(2);
  const answer = await add(device);
  // At once: an operator of the fused form may end the process.
  tell(answer);
  if (form !== FUSED_PARAMETER || answer.computeTypes.length === 0) return;
  tell({ fusedProblem: await tryFused(device, answer.computeTypes) });
}

function tell(answer: object): void {
  writeSync(process.stdout.fd, `${JSON.stringify(answer)}\n`);
}
