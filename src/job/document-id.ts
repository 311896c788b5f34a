/**
 * The `_id` of a prompt document, in the forms that the service uses: print it (`prompt_id`), name the image
 * object after it, compare it. Free of any database's types, so that queue and storage need not know each other.
 */

export type DocumentId =
  | { readonly kind: 'object_id'; readonly hex: string }
  | { readonly kind: 'integer'; readonly decimal: string }
  | { readonly kind: 'uuid'; readonly hyphenated: string }
  | { readonly kind: 'string'; readonly value: string }
  /** Anything else a database allows as a key. */
  | { readonly kind: 'other'; readonly canonicalEjson: string };

/** How the id is shown to people and sent as `prompt_id`: ObjectId's hex, the string itself, decimal, UUID, else canonical EJSON. */
export function promptIdText(id: DocumentId): string {
  switch (id.kind) {
    case 'object_id':
      return id.hex;
    case 'integer':
      return id.decimal;
    case 'uuid':
      return id.hyphenated;
    case 'string':
      return id.value;
    case 'other':
      return id.canonicalEjson;
  }
}

/** The id in canonical Extended JSON, with which `docKey` is made. */
export function canonicalEjsonOf(id: DocumentId): string {
  switch (id.kind) {
    case 'object_id':
      return `{"$oid":"${id.hex}"}`;
    case 'integer':
      return `{"$numberLong":"${id.decimal}"}`;
    case 'uuid':
      return `{"$uuid":"${id.hyphenated}"}`;
    case 'string':
      return JSON.stringify(id.value);
    case 'other':
      return id.canonicalEjson;
  }
}
