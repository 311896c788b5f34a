/**
 * Reads the names of databases, buckets, folders of objects and receivers strictly. A name that we accept in another form here becomes a database or
 * a URL of another name somewhere else.
 */
import { parseWebhookSecrets } from '../../webhook/webhook-keys.ts';
import { checked, type ValueType } from './value-types.ts';

/** MongoDB's limit, less the dot and the longest name of a database in front. */
const MAX_COLLECTION_BYTES = 190;
const MAX_DATABASE_BYTES = 63;

/** Names that the server and its driver refuse, or would take for something else. A reason never quotes: the URI may hold a password. */
export const mongoUri = checked((uri) => {
  if (/^['"]/.test(uri)) return 'it begins with a quotation mark';
  if (/^\w+=/.test(uri)) return 'it begins with a variable’s name';
  const authorityAndPath = /^mongodb(?:\+srv)?:\/\/([^/?]*)(?:\/([^?]*))?/.exec(uri);
  if (authorityAndPath === null) return 'it does not begin with mongodb:// or mongodb+srv://';
  if (/[\s\p{Cc}]/u.test(uri)) return 'it holds white space or a control character';
  const [, hosts, path] = authorityAndPath;
  if (hosts === '') return 'it names no host';
  if (path === undefined || path === '') return 'it names no database';
  return reasonAgainstDatabase(path);
});

function reasonAgainstDatabase(encoded: string): string | undefined {
  let name: string;
  try {
    name = decodeURIComponent(encoded);
  } catch {
    return 'its database’s name has a % without two hexadecimal digits';
  }
  if (/[\s\p{Cc}/\\."$*<>:|?]/u.test(name))
    return 'its database’s name has white space or one of / \\ . " $ * < > : | ? (those in a password are written as %2F and so on)';
  if (Buffer.byteLength(name) > MAX_DATABASE_BYTES)
    return `its database’s name has more than ${MAX_DATABASE_BYTES} bytes`;
  return undefined;
}

/** Source: cloud.google.com/storage/docs/buckets#naming. */
export const bucketName = checked((name) => {
  if (/^gs:/i.test(name) || name.includes('/')) return 'it is a URL or a path';
  if (!/^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$/.test(name)) return 'no bucket has such a name';
  if (name.split('.').some((part) => part === '' || part.length > 63))
    return 'a part between dots is empty or too long';
  return undefined;
});

function satisfying(isAllowed: (value: string) => boolean): ValueType<string> {
  return { parseText: (value) => (isAllowed(value) ? value : undefined) };
}

/** The beginning of objects' names: never above the data folder, never with a name that a browser or a proxy would write differently. */
export const objectPrefix = satisfying((prefix) => {
  const parts = prefix.split('/');
  // The last part is the beginning of a name, or empty.
  const hasOddPart = parts.some(
    (part, index) => part === '.' || part === '..' || (part === '' && index < parts.length - 1),
  );
  return /^[\w./-]{0,200}$/.test(prefix) && !hasOddPart;
});

export const collectionName = satisfying(
  (name) => Buffer.byteLength(name) <= MAX_COLLECTION_BYTES && !/[$\p{Cc}]|^\.|\.\.|\.$|^system\./u.test(name),
);

/** As the runtime's own `URL` reads it; with a host. */
export const webUrl = satisfying(isWebUrl);

function isWebUrl(value: string): boolean {
  return /^https?:\/\//i.test(value) && URL.canParse(value);
}

/** Goes to receivers, so a password in it would be published; and names of images are put behind it. */
export const publicBase = satisfying((value) => {
  const url = isWebUrl(value) ? URL.parse(value) : null;
  return url !== null && url.username === '' && url.password === '' && !/[?#]/.test(value);
});

/** One or several; at least one, because somebody who gives this option wants to sign. */
export const webhookSecrets = checked((secrets) => {
  try {
    return parseWebhookSecrets(secrets).length > 0 ? undefined : 'it holds none';
  } catch {
    return 'one of them is none, or everybody knows it';
  }
});
