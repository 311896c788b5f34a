/** Settings of an engine on the processor, without a compile cache: what tests and benchmarks begin with. */
import type { EngineSettings } from '../../src/engine/protocol.ts';

export function cpuSettings(checkpointFolder: string, changes: Partial<EngineSettings> = {}): EngineSettings {
  return {
    checkpointFolder,
    modelName: null,
    variant: null,
    device: 'cpu',
    dtype: 'auto',
    threads: 0,
    vaeTiling: false,
    lowMemory: 'off',
    compileCacheFolder: null,
    verifyCache: 'changed',
    ...changes,
  };
}
