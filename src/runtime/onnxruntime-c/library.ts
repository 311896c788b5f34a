/** The library whose C API is called: the one that `onnxruntime-node` loads, so that both share it in one process. */
import { closeSync, existsSync, fstatSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { ONNX_RUNTIME_VERSION } from '../onnxruntime/cuda/cuda-wheels.ts';
import { ownEnvironment } from '../onnxruntime/devices.ts';
import { libraryFolders, packageLibraryFolder } from '../onnxruntime/library-folders.ts';

const LIBRARY = 'libonnxruntime.so.1';

type Environment = Readonly<Record<string, string | undefined>>;

/** The path of the library that the loader would take. @throws `runtime_unavailable`, with the command that mends it */
export function requireLibrary(environment: Environment = ownEnvironment()): string {
  if (process.platform !== 'linux')
    throw ortUnavailable(`it is used on Linux only; this is ${process.platform}-${process.arch}.`);
  const found = libraryFolders(environment)
    .map((folder) => join(folder, LIBRARY))
    .find((path) => existsSync(path));
  if (found !== undefined && isWhole(found)) return found;
  if (found !== undefined) throw ortUnavailable(`${found} is not a whole library. ${libraryAdvice(found)}`);
  const path = join(packageLibraryFolder(), LIBRARY);
  throw ortUnavailable(`${path} is missing. ${libraryAdvice(path)}`);
}

/**
 * The loader maps a library that is cut off, and the process then ends with SIGBUS. The table of sections lies at the end of the file; the header says
 * where (ELF-64: `e_shoff`, `e_shentsize`, `e_shnum`).
 */
function isWhole(path: string): boolean {
  const header = Buffer.alloc(64);
  let file: number | undefined;
  try {
    file = openSync(path, 'r');
    if (readSync(file, header) < header.length || header.readUInt32BE(0) !== ELF_MAGIC) return false;
    const end = header.readBigUInt64LE(0x28) + BigInt(header.readUInt16LE(0x3a) * header.readUInt16LE(0x3c));
    return fstatSync(file, { bigint: true }).size >= end;
  } catch {
    return false;
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

const ELF_MAGIC = 0x7f454c46;

/** A sentence with the command that mends a library which is missing, broken or of another release. */
export function libraryAdvice(libraryPath: string): string {
  if (libraryPath === join(packageLibraryFolder(), LIBRARY))
    return `Run "npm install onnxruntime-node@${ONNX_RUNTIME_VERSION}" to bring it back.`;
  return 'Delete its folder and run "text2img setup cuda", or take the folder out of LD_LIBRARY_PATH.';
}

/** @param why sentences: the fault, and the command that mends it */
export function ortUnavailable(why: string, options?: ErrorOptions): Text2ImgError {
  return new Text2ImgError('runtime_unavailable', `ONNX Runtime’s C API cannot be used: ${why}`, options);
}
