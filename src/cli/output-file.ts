/**
 * Where the images of `text2img generate` go: files that the user named, a folder, or standard output. Everything that can be refused is refused
 * before anything is generated.
 */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import type { ErrorCode } from '../errors/error-codes.ts';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { messageOf, systemCode } from '../lib/disk-errors.ts';
import { quote } from '../lib/foreign-text.ts';
import { makeFolder } from '../lib/make-folder.ts';
import { checkWritable, FileError, type FileFault, writePlainFile } from '../lib/plain-file.ts';

/** As other tools take it. */
const STANDARD_OUTPUT = '-';

export interface WantedOutput {
  /** What `--output` says. */
  readonly output: string | undefined;
  readonly seed: number;
  readonly numImages: number;
}

export function isStandardOutput(path: string | undefined): boolean {
  return path === STANDARD_OUTPUT;
}

/**
 * `x.png`, or `x-1.png`, `x-2.png`, … when there are several; in a folder the default name. Makes a folder whose name ends with a slash.
 * @throws `conflicting_options`, `store_unwritable`, `disk_full`, `invalid_option`
 */
export async function outputPaths({ output, seed, numImages }: WantedOutput): Promise<string[]> {
  if (isStandardOutput(output)) {
    if (numImages === 1) return [STANDARD_OUTPUT];
    throw new Text2ImgError(
      'conflicting_options',
      '--output - takes one image; leave --num-images out or name a file.',
    );
  }
  const path = await filePathOf(output, `text2img-${seed}.png`);
  if (numImages === 1) return [path];
  const ending = /\.[^./\\]+$/.exec(path)?.[0] ?? '';
  const stem = path.slice(0, path.length - ending.length);
  return Array.from({ length: numImages }, (_, index) => `${stem}-${index + 1}${ending}`);
}

async function filePathOf(output: string | undefined, name: string): Promise<string> {
  if (output === undefined) return `./${name}`;
  if (output.endsWith('/')) {
    await makeFolder(output).catch((error: unknown) => {
      throw new Text2ImgError(
        'store_unwritable',
        `The folder of --output ${quote(output)} cannot be made: ${messageOf(error)}.`,
        {
          cause: error,
        },
      );
    });
    return join(output, name);
  }
  const isFolder = (await stat(output).catch(() => undefined))?.isDirectory() === true;
  return isFolder ? join(output, name) : output;
}

/** Of images, but not of PNGs: a file that lies about what it holds helps nobody. */
const OTHER_ENDINGS = /\.(?:jpe?g|jfif|webp|gif|bmp|tiff?|avif|heic|jxl|svg|pdf)$/i;

function refuseEnding(path: string): void {
  const [ending] = OTHER_ENDINGS.exec(path) ?? [];
  if (ending === undefined) return;
  throw new Text2ImgError(
    'invalid_option',
    `--output ${quote(path)} ends with ${ending}, but images are written as PNG; name it ${quote(`${path.slice(0, -ending.length)}.png`)}.`,
  );
}

/** Whether there is a file of this name, or a link to one. */
async function isThere(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}

async function refuseReplacing(path: string): Promise<void> {
  if (!(await isThere(path))) return;
  throw new Text2ImgError(
    'invalid_option',
    `The output ${quote(path)} exists, and --no-clobber keeps files; choose another name.`,
  );
}

interface OutputCheck {
  readonly json: boolean;
  readonly isTerminal: boolean;
  /** Whether a file that is there may be replaced. */
  readonly mayReplace: boolean;
}

/**
 * Proves that the images can be written, before anything is generated.
 * @throws `invalid_option` for what is no plain file, `conflicting_options`, `not_found`, `store_unwritable`, `disk_full`
 */
export async function checkOutputs(
  paths: readonly string[],
  { json, isTerminal, mayReplace }: OutputCheck,
): Promise<void> {
  if (isStandardOutput(paths[0])) {
    if (json)
      throw new Text2ImgError('conflicting_options', '--output - and --json both need standard output; give one.');
    if (isTerminal)
      throw new Text2ImgError(
        'conflicting_options',
        '--output - writes the bytes of a PNG, and standard output is a terminal; name a file, or redirect it with > or |.',
      );
    return;
  }
  for (const path of paths) {
    refuseEnding(path);
    if (!mayReplace) await refuseReplacing(path);
    await checkWritable(path).catch((error: unknown) => refuse(error, path));
  }
}

/** The whole file or none of it; through links. @returns whether it replaced another @throws as `checkOutputs` */
export async function writeImage(
  path: string,
  bytes: Uint8Array,
  { mayReplace }: Pick<OutputCheck, 'mayReplace'>,
): Promise<boolean> {
  // Another program may have made it since the check.
  if (!mayReplace) await refuseReplacing(path);
  const isReplaced = await isThere(path);
  await writePlainFile(path, bytes).catch((error: unknown) => refuse(error, path));
  return isReplaced;
}

/** Writes all bytes. A reader that stopped reading is no error. */
export async function writeToStream(stream: Writable, bytes: Uint8Array): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    stream.write(bytes, (error) => {
      if (error === null || error === undefined || systemCode(error) === 'EPIPE') resolve();
      else
        reject(
          new Text2ImgError('store_unwritable', `Standard output cannot be written: ${error.message}.`, {
            cause: error,
          }),
        );
    });
  });
}

const CODES: Readonly<Record<FileFault, ErrorCode>> = {
  missing: 'not_found',
  folder: 'invalid_option',
  'not-plain': 'invalid_option',
  'name-too-long': 'invalid_option',
  'too-large': 'store_unwritable',
  denied: 'store_unwritable',
  'disk-full': 'disk_full',
  other: 'store_unwritable',
};

function refuse(error: unknown, path: string): never {
  if (!(error instanceof FileError)) throw error;
  if (error.fault === 'missing')
    throw new Text2ImgError(
      'not_found',
      `The folder of the output ${quote(path)} does not exist; make it first, or name a folder that ends with a slash.`,
      { cause: error },
    );
  if (error.fault === 'disk-full')
    throw new Text2ImgError('disk_full', `No space is left for the output ${quote(path)}.`, { cause: error });
  throw new Text2ImgError(CODES[error.fault], `The output cannot be written: ${error.message}.`, { cause: error });
}
