/**
 * Which GPUs CUDA shows to a process, in the order in which it counts them: `cuda:N` is the Nth of these.
 * Source: CUDA C++ Programming Guide, "CUDA Environment Variables": `CUDA_VISIBLE_DEVICES` lists numbers or the beginnings of UUIDs, and ends at the
 * first that is not there. `CUDA_DEVICE_ORDER` is `FASTEST_FIRST` unless it is set.
 */
import { existsSync } from 'node:fs';
import type { Environment, NvidiaGpu } from './smi.ts';

/** The order in which nvidia-smi counts, too. */
export const PCI_ORDER = { CUDA_DEVICE_ORDER: 'PCI_BUS_ID' } as const;

/** @param gpus in the order of the PCI bus @returns undefined where CUDA's order is not known */
export function visibleGpus(
  gpus: readonly NvidiaGpu[],
  { CUDA_VISIBLE_DEVICES: wanted, CUDA_DEVICE_ORDER: order }: Environment,
): readonly NvidiaGpu[] | undefined {
  const isKnownOrder = order === 'PCI_BUS_ID' || new Set(gpus.map(({ name }) => name)).size <= 1;
  if (wanted === undefined) return isKnownOrder ? gpus : undefined;
  const shown: NvidiaGpu[] = [];
  for (const entry of wanted.split(',').map((text) => text.trim())) {
    // Instances of a GPU have UUIDs of their own, which are not in the list.
    if (entry.startsWith('MIG-')) return undefined;
    if (/^\d+$/.test(entry) && !isKnownOrder) return undefined;
    const found = /^\d+$/.test(entry)
      ? gpus[Number(entry)]
      : gpus.find(({ uuid }) => entry !== '' && uuid.startsWith(entry));
    if (found === undefined || shown.includes(found)) break;
    shown.push(found);
  }
  return shown;
}

/** @param device `cuda:N` @returns undefined where CUDA's order is not known, or there is none */
export function gpuOf(device: string, gpus: readonly NvidiaGpu[], environment: Environment): NvidiaGpu | undefined {
  const number = /^cuda:(\d{1,3})$/.exec(device)?.[1];
  return number === undefined ? undefined : visibleGpus(gpus, environment)?.[Number(number)];
}

/** Docker, Podman and Kubernetes leave one of these behind. @param root where the system's own files begin */
export function isInContainer(environment: Environment, root = ''): boolean {
  const marks = ['/.dockerenv', '/run/.containerenv', '/var/run/secrets/kubernetes.io'];
  return environment['KUBERNETES_SERVICE_HOST'] !== undefined || marks.some((path) => existsSync(`${root}${path}`));
}
