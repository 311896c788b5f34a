/** Opens and reads the files of a checkpoint, plain files only. The error's sentence distinguishes a missing file from an unreadable one. */
import { lstat, type FileHandle } from 'node:fs/promises';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { messageOf } from '../lib/disk-errors.ts';
import { FileError, type FileFault, openPlainFile, readPlainFile } from '../lib/plain-file.ts';

/** Vocabularies and shard indexes have a few megabytes. */
const MAX_TEXT_BYTES = 64 * 1024 * 1024;

/** The caller closes it. @throws `model_not_found` */
export async function openCheckpointFile(path: string): Promise<FileHandle> {
  return openPlainFile(path).catch(async (error: unknown) => {
    throw await unreadable(path, error);
  });
}

/** The whole file. @throws `model_not_found` */
export async function readCheckpointFile(path: string): Promise<Buffer> {
  return readPlainFile(path, MAX_TEXT_BYTES).catch(async (error: unknown) => {
    throw await unreadable(path, error);
  });
}

async function unreadable(path: string, error: unknown): Promise<Text2ImgError> {
  return new Text2ImgError('model_not_found', await sentenceOf(path, error), { cause: error });
}

/** The path stands whole in it: its end says more than its beginning. */
async function sentenceOf(path: string, error: unknown): Promise<string> {
  const fault = error instanceof FileError ? error.fault : 'other';
  if (fault === 'missing') {
    return (await isLink(path))
      ? `${path} is a link to a file that does not exist.`
      : `the checkpoint has no file ${path}.`;
  }
  const what = WHAT[fault] ?? `cannot be read: ${messageOf(error)}`;
  return `${path} ${what}.`;
}

const WHAT: Partial<Record<FileFault, string>> = {
  folder: 'is a folder; a file is needed',
  'not-plain': 'is a pipe, a socket or a device; a plain file is needed',
  denied: 'cannot be read by this user; give it the right to read the file',
  'too-large': `is larger than the ${MAX_TEXT_BYTES} bytes that such a file may have`,
};

async function isLink(path: string): Promise<boolean> {
  const facts = await lstat(path).catch(() => undefined);
  return facts?.isSymbolicLink() === true;
}
