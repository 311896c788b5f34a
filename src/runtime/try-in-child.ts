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

const answerSchema = z.object({
  computeTypes: z.array(z.enum(COMPUTE_TYPES)),
  problem: z.string().optional(),
});

export interface DeviceAnswer {
  /** In which it added two numbers. */
  readonly computeTypes: readonly ComputeType[];
  /** Why one is missing. */
  readonly problem?: string | undefined;
}

export interface Trial {
  /** The program, without its extension. It writes a `DeviceAnswer` as JSON. */
  readonly child: URL;
  readonly parameters: readonly string[];
  /** undefined: this process' own. */
  readonly environment?: Readonly<Record<string, string | undefined>> | undefined;
}

export async function tryInChild({ child, parameters, environment }: Trial): Promise<DeviceAnswer> {
  try {
    const options = { timeout: TIMEOUT_MS, env: environment };
    const { stdout } = await run(process.execPath, [fileURLToPath(child), ...parameters], options);
    return answerSchema.parse(JSON.parse(stdout));
  } catch (error) {
    // A library that ends the process says why on standard error.
    const { stderr = '' } = error as { readonly stderr?: string };
    const said = gpuFault(stderr) === undefined ? messageOf(error).split('\n')[0] : stderr;
    return { computeTypes: [], problem: `the process that tried it ended: ${said}` };
  }
}
