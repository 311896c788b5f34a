/**
 * The folder of OpenVINO's libraries, which `text2img setup openvino` fills: where it is, and whether it is whole. It is a file of its own, because
 * every engine looks for the folder and few ever load what is in it.
 */
import { existsSync, type Stats, statSync } from 'node:fs';
import { join } from 'node:path';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { C_LIBRARY, OPENVINO_VERSION, type OpenvinoBuild, openvinoBuild } from './release.ts';

export const OPENVINO_SETUP = 'text2img setup openvino';

/** `good`: all files are there with their sizes. `broken` says what is wrong, without the full stop. */
export type OpenvinoLibraries =
  | { readonly state: 'unsupported' | 'missing' }
  | { readonly state: 'broken'; readonly problem: string }
  | { readonly state: 'good'; readonly cLibrary: string };

/** The folder that `setup openvino` fills, whole or not at all. */
export function openvinoLibraryFolder(dataHome: string): string {
  return join(dataHome, 'text2img', `openvino-${OPENVINO_VERSION}`);
}

/** By the names and sizes of the files: a start reads none of the 93 MB. */
export function findLibraries(folder: string, build: OpenvinoBuild | undefined = openvinoBuild()): OpenvinoLibraries {
  if (build === undefined) return { state: 'unsupported' };
  if (!existsSync(folder)) return { state: 'missing' };
  for (const { name, sizeBytes } of build.files) {
    const path = join(folder, name);
    const facts = look(path);
    if (facts === undefined || !facts.isFile()) return { state: 'broken', problem: `${path} is missing` };
    if (facts.size !== sizeBytes)
      return {
        state: 'broken',
        problem: `${path} has ${facts.size} bytes, but OpenVINO ${OPENVINO_VERSION} has ${sizeBytes}`,
      };
  }
  return { state: 'good', cLibrary: join(folder, C_LIBRARY) };
}

/** The path of the C API's library. @throws `runtime_unavailable`, with the command that mends it */
export function requireLibraries(folder: string, build: OpenvinoBuild | undefined = openvinoBuild()): string {
  const found = findLibraries(folder, build);
  switch (found.state) {
    case 'good':
      return found.cLibrary;
    case 'broken':
      throw openvinoUnavailable(`${found.problem}. Run "${OPENVINO_SETUP}" to download it again.`);
    case 'missing':
      throw openvinoUnavailable(`its libraries are not in ${folder}. Run "${OPENVINO_SETUP}" to download them.`);
    case 'unsupported':
      throw unsupported();
  }
}

export function unsupported(): Text2ImgError {
  return openvinoUnavailable(
    `it is used on linux-x64 and linux-arm64 only; this is ${process.platform}-${process.arch}.`,
  );
}

/** @param why sentences: the fault, and the command that mends it */
export function openvinoUnavailable(why: string, options?: ErrorOptions): Text2ImgError {
  return new Text2ImgError('runtime_unavailable', `OpenVINO cannot be used: ${why}`, options);
}

function look(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}
