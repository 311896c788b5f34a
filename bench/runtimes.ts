/** The runtimes that the benchmark compares: those of the registry, and OpenVINO where `text2img setup openvino` puts it. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { openvinoLibraryFolder } from '../src/runtime/openvino/library-folder.ts';
import type { Runtime } from '../src/runtime/contract.ts';
import { openvinoIn, RUNTIMES } from '../src/runtime/registry.ts';

export function benchRuntimes(): readonly Runtime[] {
  const dataHome = process.env['XDG_DATA_HOME'] ?? join(homedir(), '.local', 'share');
  return [...RUNTIMES, openvinoIn(openvinoLibraryFolder(dataHome))];
}
