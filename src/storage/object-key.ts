/** The name of an image's object: a function of the document's `_id`, so that a second run writes the same object, never a second one. */
import { createHash } from 'node:crypto';
import { canonicalEjsonOf, type DocumentId } from '../job/document-id.ts';

export interface ObjectKeyOptions {
  readonly prefix: string;
  /** 0 for the first image of a document. */
  readonly imageIndex: number;
  /** The name in the document. It counts only where it is `hashedName`: a document cannot choose. */
  readonly objectName?: string | undefined;
}

/** The object that says whether a bucket takes any. No document has this name: an image's ends in `.png`. */
export function probeKey(prefix: string): string {
  return `${prefix}.text2img-probe`;
}

/** `generated/<id>.png`, `generated/<id>.2.png` for the second image, and so on. */
export function objectKey(id: DocumentId, { prefix, imageIndex, objectName }: ObjectKeyOptions): string {
  const stem = isHashedName(id, objectName) ? hashedName(id) : objectStem(id);
  return `${prefix}${stem}${imageIndex === 0 ? '' : `.${imageIndex + 1}`}.png`;
}

/** Harmless in a URL, a file system and a shell. */
const PLAIN = /^[A-Za-z0-9_-]{1,128}$/;
const LOOKS_HASHED = /^x-[0-9a-f]{64}$/;

function objectStem(id: DocumentId): string {
  switch (id.kind) {
    case 'object_id':
      return id.hex;
    case 'integer':
      return id.decimal;
    case 'uuid':
      return id.hyphenated;
    case 'string':
      return PLAIN.test(id.value) && !LOOKS_HASHED.test(id.value) ? id.value : hashedName(id);
    case 'other':
      return hashedName(id);
  }
}

/** Whether this document goes by its hashed name, for itself or because another one has its plain one. */
export function isHashedName(id: DocumentId, objectName: string | undefined): boolean {
  return (objectName ?? objectStem(id)) === hashedName(id);
}

/** The name that no other document can have; taken where another one has the plain name already. */
export function hashedName(id: DocumentId): string {
  return `x-${createHash('sha256').update(canonicalEjsonOf(id)).digest('hex')}`;
}
