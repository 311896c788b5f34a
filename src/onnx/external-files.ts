/**
 * Where a graph's weights lie, as ONNX says it: one folder, and each file's location below it. The folder is a path of this machine. A location is
 * always written with "/", also where the machine has another separator. Windows was not run; the tests run this file with `path.win32`.
 */
import platformPath, { type PlatformPath } from 'node:path';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { quote } from '../lib/foreign-text.ts';

/**
 * The deepest folder that has all files below it; empty where there are none.
 * @param files absolute paths @throws `unsupported_config` for files on two drives
 */
export function commonFolder(files: readonly string[], path: PlatformPath = platformPath): string {
  const [first, ...others] = files.map((file) => path.dirname(file));
  if (first === undefined) return '';
  let common = first;
  for (const folder of others) {
    while (!isBelow(folder, common, path)) {
      const parent = path.dirname(common);
      if (parent === common)
        throw new Text2ImgError(
          'unsupported_config',
          `the weights of one network lie on two drives, ${quote(first)} and ${quote(folder)}; move them to one.`,
        );
      common = parent;
    }
  }
  return common;
}

function isBelow(folder: string, ancestor: string, path: PlatformPath): boolean {
  const way = path.relative(ancestor, folder);
  return way !== '..' && !way.startsWith(`..${path.sep}`) && !path.isAbsolute(way);
}

/** `file` as seen from `folder`. */
export function externalLocation(folder: string, file: string, path: PlatformPath = platformPath): string {
  return path.relative(folder, file).split(path.sep).join('/');
}
