/** Reads OpenVINO's libraries and compares their checksums with the release's: more than a start does. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { findLibraries, type OpenvinoLibraries } from './library-folder.ts';
import { OPENVINO_VERSION, type OpenvinoBuild, openvinoBuild } from './release.ts';

/** Reads every file, which takes about a second where the disk is slow. */
export async function verifyLibraries(
  folder: string,
  build: OpenvinoBuild | undefined = openvinoBuild(),
): Promise<OpenvinoLibraries> {
  const found = findLibraries(folder, build);
  if (found.state !== 'good' || build === undefined) return found;
  for (const { name, sha256 } of build.files) {
    const path = join(folder, name);
    if ((await sha256Of(path)) !== sha256)
      return {
        state: 'broken',
        problem: `${path} is not the file of OpenVINO ${OPENVINO_VERSION}: its SHA-256 differs`,
      };
  }
  return found;
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 2 ** 20 })) hash.update(chunk as Buffer);
  return hash.digest('hex');
}
