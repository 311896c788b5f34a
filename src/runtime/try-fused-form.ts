/**
 * Finds out whether a device runs the fused form: a sample of it against the same layers in the portable form, on the same device. A GPU may lack a
 * kernel, or cuDNN an engine, for one operator; an addition does not show that. `try-device-child.ts` of a runtime runs this in its own process.
 */
import { Text2ImgError } from '../errors/text2img-error.ts';
import { messageOf } from '../lib/disk-errors.ts';
import { largestDifference } from '../lib/largest-difference.ts';
import { FormSample } from '../networks/form-sample.ts';
import type { BuiltGraph, ComputeType } from '../onnx/graph.ts';
import { type FusedDomain, MICROSOFT_DOMAIN } from '../onnx/graph-form.ts';
import type { HostTensors } from './contract.ts';
import { float32, floatsOf } from './tensors.ts';

type TriedType = Extract<ComputeType, 'float32' | 'float16'>;

/**
 * Shares of the largest number. On a CPU the forms differ by 8e-7 in float32 and by 5e-4 in float16. A GPU may compute products of float32 in TF32,
 * which rounds as float16 does.
 */
const TOLERANCE: Readonly<Record<TriedType, number>> = { float32: 1e-2, float16: 3e-2 };

interface OpenSample extends AsyncDisposable {
  run(inputs: HostTensors): Promise<HostTensors>;
}

export interface FusedTrial {
  /** The device adds in these. */
  readonly computeTypes: readonly ComputeType[];
  readonly open: (graph: BuiltGraph) => Promise<OpenSample>;
  /** Default: ONNX Runtime's own. */
  readonly fusedDomain?: FusedDomain;
}

/** @returns why the device cannot have the fused form, without a full stop; undefined where it can */
export async function tryFusedForm({ computeTypes, open, fusedDomain }: FusedTrial): Promise<string | undefined> {
  const sample = new FormSample();
  const inputs = Object.fromEntries(
    Object.entries(sample.inputs).map(([name, { data, shape }]) => [name, float32(data, shape)]),
  );
  const run = async (graph: BuiltGraph): Promise<HostTensors> => {
    await using network = await open(graph);
    return await network.run(inputs);
  };
  for (const computeType of computeTypes) {
    if (computeType === 'bfloat16') continue;
    const problem = await compare(
      () => run(sample.graph(computeType, { form: 'fused', fusedDomain: fusedDomain ?? MICROSOFT_DOMAIN })),
      () => run(sample.graph(computeType, { form: 'portable' })),
      TOLERANCE[computeType],
    );
    if (problem !== undefined) return `in ${computeType} ${problem}`;
  }
  return undefined;
}

type Run = () => Promise<HostTensors>;

async function compare(fused: Run, portable: Run, tolerance: number): Promise<string | undefined> {
  let actual: HostTensors;
  try {
    actual = await fused();
  } catch (error) {
    return problemOf(error);
  }
  const names = Object.keys(actual);
  if (names.some((name) => floatsOf(actual, name).some((value) => !Number.isFinite(value))))
    return 'it gave numbers that are not finite';
  let expected: HostTensors;
  try {
    expected = await portable();
  } catch {
    // It says nothing about the fused form.
    return undefined;
  }
  const differences = names.map((name) => largestDifference(floatsOf(actual, name), floatsOf(expected, name)));
  const largest = Math.max(...differences);
  // Written so that NaN is a problem.
  if (largest <= tolerance) return undefined;
  return `its numbers differ from the portable form by ${largest.toExponential(1)} of the largest; allowed is ${tolerance}`;
}

/** A GPU that is full says nothing about the form. @returns undefined for that */
function problemOf(error: unknown): string | undefined {
  if (error instanceof Text2ImgError && error.code === 'engine_out_of_memory') return undefined;
  return `it failed: ${messageOf(error).replace(/\.$/, '')}`;
}
