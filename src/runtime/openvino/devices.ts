/** OpenVINO's one device here, tried in a child process. This file loads no native library. */
import { totalmem } from 'node:os';
import { omitUndefined } from '../../lib/omit-undefined.ts';
import type { DeviceReport } from '../contract.ts';
import { type Trial, tryInChild } from '../try-in-child.ts';
import { findLibraries } from './library-folder.ts';

const CHILD = new URL(
  import.meta.url.endsWith('.ts') ? './try-device-child.ts' : './try-device-child.js',
  import.meta.url,
);
const ADVICE = '"text2img setup openvino" downloads its libraries.';

/** `cpu`, or only the device that is named. */
export async function tryDevices(
  libraryFolder: string,
  only: string | undefined,
  environment?: Trial['environment'],
): Promise<DeviceReport[]> {
  if (only !== undefined && only !== 'cpu')
    return [{ device: only, kind: 'gpu', computeTypes: [], problem: 'OpenVINO runs on the CPU only here' }];
  const found = findLibraries(libraryFolder);
  const { computeTypes, problem } =
    found.state === 'good'
      ? await tryInChild({ child: CHILD, parameters: [libraryFolder], environment })
      : { computeTypes: [], problem: found.state === 'broken' ? found.problem : `its libraries are ${found.state}` };
  return [
    {
      device: 'cpu',
      kind: 'cpu',
      computeTypes,
      memoryBytes: totalmem(),
      ...omitUndefined({ problem }),
      ...(found.state === 'good' ? {} : { advice: ADVICE }),
    },
  ];
}
