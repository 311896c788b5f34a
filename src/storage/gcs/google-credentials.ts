/** Checks the key file of a Google account before Google's client reads it, to give better errors. */
import { createPrivateKey } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { messageOf, systemCode } from '../../lib/disk-errors.ts';
import { isRecord } from '../../lib/foreign-record.ts';
import { quote } from '../../lib/foreign-text.ts';

/** The content of an account's file. Messages quote its type, and nothing else of it. */
type CredentialsFile = Readonly<Record<string, unknown>>;

const VARIABLE = 'GOOGLE_APPLICATION_CREDENTIALS';
/** Longer paths are no slip of the key's own text into the variable. */
const LONGEST_QUOTED_PATH = 255;
/** Key files have about 2.4 kB. */
const MAX_FILE_BYTES = 1024 * 1024;
const BYTE_ORDER_MARK = '\uFEFF';

/** @throws `store_unwritable` for a file that is missing, unreadable or no account's; never quotes what is in it */
export function readCredentialsFile(path: string): CredentialsFile {
  if (!looksLikePath(path))
    throw unusable(
      '(not shown)',
      `it has ${path.length} characters and is no path; write the key into a file, and set the variable to its path`,
    );
  const text = readText(path);
  if (text.startsWith(BYTE_ORDER_MARK))
    throw unusable(quote(path), 'the file begins with a byte order mark; save it as UTF-8 without one');
  const account = parse(text);
  if (!isRecord(account)) throw unusable(quote(path), 'the file does not hold a JSON object');
  if (account['type'] === 'service_account') checkPrivateKey(path, account['private_key']);
  return account;
}

/** The key itself in place of its path is a common slip, and must not be shown. */
function looksLikePath(value: string): boolean {
  // oxlint-disable-next-line no-control-regex -- no path that anybody means has control characters
  if (/[\u0000-\u001f]|-----BEGIN|private_key/.test(value) || /^\s*[{["]/.test(value)) return existsSync(value);
  return value.length <= LONGEST_QUOTED_PATH || existsSync(value);
}

function readText(path: string): string {
  try {
    const facts = statSync(path);
    if (!facts.isFile()) throw unusable(quote(path), facts.isDirectory() ? 'it is a folder' : 'it is no plain file');
    if (facts.size > MAX_FILE_BYTES)
      throw unusable(quote(path), `it has ${facts.size} bytes; a key file has a few thousand`);
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof Text2ImgError) throw error;
    const code = systemCode(error);
    if (code === 'EACCES')
      throw new Text2ImgError(
        'store_unwritable',
        `the credentials ${quote(path)} cannot be read by user ${process.getuid?.() ?? '?'}; in a container, start it with --user "$(id -u):$(id -g)".`,
        { cause: error },
      );
    throw unusable(quote(path), code === 'ENOENT' ? 'there is no such file' : (code ?? messageOf(error)));
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // JSON's own errors quote the text.
    return undefined;
  }
}

function checkPrivateKey(path: string, key: unknown): void {
  if (typeof key !== 'string' || key === '')
    throw unusable(quote(path), 'it is a service account’s, but has no private_key');
  try {
    createPrivateKey(key);
  } catch {
    const escaped = key.includes('\\n') ? ': its line ends are escaped twice (\\\\n instead of \\n)' : '';
    throw unusable(quote(path), `its private_key is no key in PEM form${escaped}; download the key file again`);
  }
}

/** @param what quoted already, or not to be quoted at all */
function unusable(what: string, why: string): Text2ImgError {
  return new Text2ImgError('store_unwritable', `the credentials ${what} of ${VARIABLE} cannot be used: ${why}.`);
}

/**
 * A link must live as long as its webhook may be tried. Only one that is signed with a key itself lives its seven days; what other credentials
 * sign ends with them, within hours.
 * @throws `conflicting_options`, `store_unwritable`
 */
export function checkCanSign(credentialsFile: string | undefined): void {
  const key = credentialsFile === undefined ? undefined : readCredentialsFile(credentialsFile);
  if (key?.['type'] === 'service_account') return;
  const why = key === undefined ? 'there is none' : `${quote(credentialsFile)} is of type ${quote(key['type'])}`;
  throw new Text2ImgError(
    'conflicting_options',
    `--signed-urls needs a service account's key file in ${VARIABLE}, because other credentials end before the last attempt of a webhook; ${why}.`,
  );
}
