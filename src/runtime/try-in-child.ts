/** Tries a device in a process of its own, because a library that fails may end its process. This file loads no native library. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { z } from 'zod';
import { messageOf } from '../lib/disk-errors.ts';
import { gpuFault } from '../lib/gpu-errors.ts';
import { COMPUTE_TYPES, type ComputeType } from '../onnx/compute-type.ts';

const run = promisify(execFile);
const TIMEOUT_MS = 60_000;
/** The last parameter of a child that tries the fused form as well. */
export const FUSED_PARAMETER = 'fused';

const answerSchema = z.object({
  computeTypes: z.array(z.enum(COMPUTE_TYPES)),
  problem: z.string().optional(),
});
const fusedSchema = z.object({ fusedProblem: z.string().optional() });

export interface DeviceAnswer {
  /** In which it added two numbers. */
  readonly computeTypes: readonly ComputeType[];
  /** Why one is missing. */
  readonly problem?: string | undefined;
  /** Why it cannot have the fused form, where that was tried. */
  readonly fusedProblem?: string | undefined;
}

export interface Trial {
  /** The program, without its extension. It writes a `DeviceAnswer` as JSON; `answer-trial.ts` says how. */
  readonly child: URL;
  readonly parameters: readonly string[];
  /** undefined: this process' own. */
  readonly environment?: Readonly<Record<string, string | undefined>> | undefined;
  readonly triesFusedForm?: boolean | undefined;
}

export async function tryInChild({ child, parameters, environment, triesFusedForm }: Trial): Promise<DeviceAnswer> {
  const timeout = triesFusedForm === true ? 2 * TIMEOUT_MS : TIMEOUT_MS;
  const form = triesFusedForm === true ? [FUSED_PARAMETER] : [];
  try {
    const options = { timeout, env: environment };
    const { stdout } = await run(process.execPath, [fileURLToPath(child), ...parameters, ...form], options);
    const [answer, fused] = stdout.trim().split('\n');
    return { ...answerSchema.parse(JSON.parse(answer ?? '')), ...fusedSchema.parse(JSON.parse(fused ?? '{}')) };
  } catch (error) {
    // A library that ends the process says why on standard error.
    const { stdout = '', stderr = '' } = error as { readonly stdout?: string; readonly stderr?: string };
    const fault = gpuFault(stderr);
    const answer = triesFusedForm === true ? firstAnswer(stdout) : undefined;
    if (answer !== undefined && answer.computeTypes.length > 0)
      return { ...answer, fusedProblem: `it ended the process that tried it: ${fault?.problem ?? endOf(error)}` };
    return {
      computeTypes: [],
      problem: `the process that tried it ended: ${fault === undefined ? endOf(error) : stderr}`,
    };
  }
}

/** The answer of a process that ended after it. @returns undefined: it wrote none */
function firstAnswer(stdout: string): DeviceAnswer | undefined {
  try {
    return answerSchema.parse(JSON.parse(stdout.split('\n')[0] ?? ''));
  } catch {
    return undefined;
  }
}

function endOf(error: unknown): string {
  const { signal, killed } = error as { readonly signal?: string | null; readonly killed?: boolean };
  if (killed === true) return 'it took too long';
  return typeof signal === 'string' ? `signal ${signal}` : (messageOf(error).split('\n')[0] ?? '');
}
