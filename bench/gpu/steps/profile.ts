/** (c) What one pass of the UNet consists of: nodes by provider and operator, and copies between the CPU and the device, of which there must be none. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import type { BuiltGraph } from '../../../src/onnx/graph.ts';
import type { HostTensors } from '../../../src/runtime/contract.ts';
import { graphOf, UNREAD, unetInputs } from '../open-graph.ts';
import type { Report, TaskOf } from '../step.ts';

const LONGEST = 12;

interface ProfileEvent {
  readonly cat?: string;
  readonly name?: string;
  /** Microseconds that the CPU spent on it: on a GPU mostly the launch. */
  readonly dur?: number;
  readonly args?: { readonly op_name?: string; readonly provider?: string };
}

export async function profileStep(task: TaskOf<'profile'>, report: Report): Promise<void> {
  const { model, form, device, isTiny, workFolder } = task;
  const graph = await graphOf({ model, form, component: 'unet' }, task);
  const folder = mkdtempSync(join(workFolder, 'profile-'));
  try {
    await runProfiled(graph, unetInputs(model, 2, isTiny), { device, prefix: join(folder, 'unet') });
    const [file] = readdirSync(folder);
    if (file === undefined) throw new Error('ONNX Runtime wrote no profile');
    reportNodes(JSON.parse(readFileSync(join(folder, file), 'utf8')) as readonly ProfileEvent[], report);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function runProfiled(
  { model, weightsFolder }: BuiltGraph,
  inputs: HostTensors,
  { device, prefix }: { readonly device: string; readonly prefix: string },
): Promise<void> {
  const cuda = { name: 'cuda', deviceId: Number(device.replace('cuda:', '')) } as const;
  const session = await InferenceSession.create(model, {
    executionProviders: [device === 'cpu' ? 'cpu' : cuda],
    graphOptimizationLevel: 'all',
    enableProfiling: true,
    profileFilePrefix: prefix,
    extra: { session: { model_external_initializers_file_folder_path: weightsFolder } },
  });
  const feeds = Object.fromEntries(
    Object.entries(inputs).map(([name, { type, data, shape }]) => [
      name,
      new Tensor(type, data as Float32Array, shape),
    ]),
  );
  // Kernels are searched in the first run; the profile has both.
  const wanted = session.outputNames.filter((name) => !(UNREAD as readonly string[]).includes(name));
  await session.run(feeds, wanted);
  await session.run(feeds, wanted);
  session.endProfiling();
  await session.release();
}

function reportNodes(events: readonly ProfileEvent[], report: Report): void {
  // `_kernel_time` ends the name of one run of a node.
  const nodes = events.filter(({ cat, name }) => cat === 'Node' && name?.endsWith('_kernel_time') === true);
  const operatorOf = ({ args }: ProfileEvent): string => `${args?.op_name ?? '?'} on ${args?.provider ?? '?'}`;
  const copies = nodes.filter(({ args }) => args?.op_name?.startsWith('Memcpy') === true);
  const namesOf = (found: readonly ProfileEvent[]): number => new Set(found.map(({ name }) => name)).size;
  report({ what: 'Memcpy nodes', nodes: namesOf(copies) });
  for (const [provider, found] of Map.groupBy(nodes, ({ args }) => args?.provider ?? '?'))
    report({ what: `nodes on ${provider}`, nodes: namesOf(found) });
  const byTime = [...Map.groupBy(nodes, operatorOf)]
    .map(([what, found]) => ({ what, nodes: namesOf(found), hostSeconds: hostSeconds(found) }))
    .toSorted((a, b) => b.hostSeconds - a.hostSeconds);
  for (const row of byTime.slice(0, LONGEST)) report(row);
}

/** Of both runs. */
function hostSeconds(found: readonly ProfileEvent[]): number {
  return found.reduce((sum, { dur = 0 }) => sum + dur, 0) / 1e6;
}
