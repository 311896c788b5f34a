/** Creates, lists and revokes the keys of a file. Only their hashes are kept. */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { messageOf } from '../../lib/disk-errors.ts';
import { withFileLock } from '../../lib/file-lock.ts';
import { quote } from '../../lib/foreign-text.ts';
import { FileError, readPlainFile, writePlainFile } from '../../lib/plain-file.ts';
import type { ApiKey } from '../front/caller.ts';
import { hashOfSecret, KEY_NAME, KEY_NAME_ALLOWED, keyLineText, newSecret, readKeyLines } from './key-lines.ts';

const MAX_FILE_BYTES = 16 * 1024 * 1024;
/** A reader of the hashes cannot find the keys, but sees who has one. */
const FILE_MODE = 0o600;

/** A second key of one name serves to change it: both work until the old one is revoked. @returns the secret, which is kept nowhere */
export async function createKey(path: string, name: string, { isAdmin }: Pick<ApiKey, 'isAdmin'>): Promise<string> {
  if (!KEY_NAME.test(name))
    throw new Text2ImgError('invalid_option', `The name of a key is ${quote(name)}; it must be ${KEY_NAME_ALLOWED}.`);
  const secret = newSecret();
  await edit(path, (text) => {
    const limits = readKeyLines(text, path).findLast(({ key }) => key.name === name)?.key.limits ?? {};
    const line = keyLineText({ key: { name, isAdmin, limits }, hash: hashOfSecret(secret) });
    return `${text === '' || text.endsWith('\n') ? text : `${text}\n`}${line}\n`;
  });
  return secret;
}

/** In the order of the file. @throws `invalid_option` */
export async function listKeys(path: string): Promise<readonly ApiKey[]> {
  return readKeyLines(await read(path), path).map(({ key }) => key);
}

/** Removes all keys of the name. @returns how many @throws `not_found` */
export async function revokeKeys(path: string, name: string): Promise<number> {
  let revoked = 0;
  await edit(path, (text) => {
    const isGone = (line: string): boolean => readKeyLines(line, path).some(({ key }) => key.name === name);
    const lines = text.split('\n');
    const left = lines.filter((line) => !isGone(line));
    revoked = lines.length - left.length;
    if (revoked > 0) return left.join('\n');
    throw new Text2ImgError('not_found', `The key file ${quote(path)} has no key ${quote(name)}.`);
  });
  return revoked;
}

async function edit(path: string, change: (text: string) => string): Promise<void> {
  try {
    await withFileLock(`${path}.lock`, async () => {
      await writePlainFile(path, Buffer.from(change(await read(path))), { mode: FILE_MODE });
    });
  } catch (error) {
    throw explained(error);
  }
}

/** Empty where there is no file yet. */
async function read(path: string): Promise<string> {
  try {
    return (await readPlainFile(path, MAX_FILE_BYTES)).toString('utf8');
  } catch (error) {
    if (error instanceof FileError && error.fault === 'missing') return '';
    throw explained(error);
  }
}

function explained(error: unknown): Text2ImgError {
  if (error instanceof Text2ImgError) return error;
  return new Text2ImgError('invalid_option', `The key file cannot be used: ${messageOf(error)}.`, { cause: error });
}
