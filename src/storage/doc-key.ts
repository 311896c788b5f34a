/**
 * Whose object lies under a name. Beside each image stands its document's key: canonical EJSON of `{database, collection, _id}`, or, where that is
 * too long for an object's metadata, its hash.
 */
import { createHash } from 'node:crypto';
import { isRecord } from '../lib/foreign-record.ts';

/**
 * `same`: this document's. `namesake`: another `_id` of the same collection, which has the same plain name, like 7 and "7". `foreign`: a document of
 * another database or collection, or nobody knows whose.
 */
export type Whose = 'same' | 'namesake' | 'foreign';

const HASH_MARK = 'sha256:';

export function hashOfDocKey(docKey: string): string {
  return `${HASH_MARK}${createHash('sha256').update(docKey).digest('hex')}`;
}

/** @param stored the key beside the image @param own the document's key, whole */
export function whoseObject(stored: string, own: string): Whose {
  if (stored === own) return 'same';
  if (stored.startsWith(HASH_MARK)) return stored === hashOfDocKey(own) ? 'same' : 'foreign';
  const theirs = parse(stored);
  const ours = parse(own);
  if (theirs === undefined || ours === undefined || !isSamePlace(theirs, ours)) return 'foreign';
  return JSON.stringify(theirs['_id']) === JSON.stringify(ours['_id']) ? 'same' : 'namesake';
}

/** The owner in a sentence: `_id 7 of the collection "a" in the database "b"`, each value as JSON. Undefined: nobody knows. */
export function describeOwner(stored: string | undefined): string | undefined {
  const key = stored === undefined ? undefined : parse(stored);
  if (key === undefined) return undefined;
  const json = (value: unknown): string => JSON.stringify(value) ?? 'none';
  return `the document ${json(key['_id'])} of the collection ${json(key['collection'])} in the database ${json(key['database'])}`;
}

type DocKey = Readonly<Record<string, unknown>>;

function parse(text: string): DocKey | undefined {
  try {
    const key: unknown = JSON.parse(text);
    return isRecord(key) ? key : undefined;
  } catch {
    return undefined;
  }
}

function isSamePlace(one: DocKey, other: DocKey): boolean {
  if (one['collection'] !== other['collection']) return false;
  return one['database'] === other['database'] || (isFile(one['database']) && isFile(other['database']));
}

/** The embedded queue's path: the data folder may be moved, and is mounted elsewhere in a container. No database of MongoDB has a slash in its name. */
function isFile(database: unknown): boolean {
  return typeof database === 'string' && /[/\\]/.test(database);
}
