/** Plans the engines of one worker: one for each GPU that `--device` names, or `--engines` of them that share the CPU. */
import type { Config } from '../config/options.ts';
import type { EngineSettings } from '../engine/protocol.ts';
import { type CpuMachine, shareCpus } from '../lib/cpu-shares.ts';
import { omitUndefined } from '../lib/omit-undefined.ts';

export type EnginePlan = Pick<EngineSettings, 'device' | 'threads' | 'cpus'>;

/** @param config `engines` is no more than the machine has threads */
export function planEngines(
  { device: devices, engines, threads }: Pick<Config, 'device' | 'engines' | 'threads'>,
  machine?: CpuMachine,
): readonly [EnginePlan, ...EnginePlan[]] {
  const [device, ...others] = devices;
  if (engines === 1) return [{ device, threads }, ...others.map((other) => ({ device: other, threads }))];
  const [first, ...rest] = shareCpus(engines, machine).map((share) => ({
    device,
    threads: threads === 0 ? share.threads : threads,
    ...omitUndefined({ cpus: share.cpus }),
  }));
  return first === undefined ? [{ device, threads }] : [first, ...rest];
}
