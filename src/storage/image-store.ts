/**
 * The contract of an image store. The object's name is a function of the document's `_id` (invariant 2), so a store must
 * tell a repeat of the same run (adopt it) from another run of the same document (replace it, if the caller still owns
 * the document) and from a stranger's object (never touch it). `file-image-store.ts` and, later,
 * `gcs-image-store.ts` pass the conformance suite in `test/storage/image-store-conformance.ts`.
 */

export interface ImageObject {
  /** Relative name, as `object-key.ts` gives it: `generated/<id>.png`. */
  readonly name: string;
  readonly png: Uint8Array;
  readonly metadata: ImageMetadata;
}

export interface ImageMetadata {
  readonly runId: string;
  /** Canonical EJSON of `{database, collection, _id}`. */
  readonly docKey: string;
  readonly seed: number;
  readonly model: string;
}

export type PutOutcome =
  /** The object did not exist. */
  | 'created'
  /** The same run had written it already; left as it is. */
  | 'adopted'
  /** An earlier run of the same document had written it; overwritten. */
  | 'replaced'
  /** An earlier run's object is there, and `mayReplace` said that the document is no longer ours: left as it is. */
  | 'superseded'
  /** Another document's object is there: left as it is. */
  | 'foreign';

export interface PutResult {
  readonly outcome: PutOutcome;
  /** What goes into `image_url`. */
  readonly url: string;
}

export interface ImageStore extends AsyncDisposable {
  /** Where it is, for logs; no secrets. */
  readonly description: string;

  /** Proves before anything is claimed that images can be written: throws `store_unwritable`, `disk_full` or `store_failed`. */
  check(): Promise<void>;

  /**
   * Writes the object, all or nothing. `mayReplace` is asked right before another run's object is overwritten: it renews
   * the claim, and false means that the caller lost it.
   */
  put(
    object: ImageObject,
    options: { readonly mayReplace: () => Promise<boolean>; readonly signal?: AbortSignal },
  ): Promise<PutResult>;

  /** The object's metadata and URL, or undefined; a worker that takes over a run looks before it draws. */
  find(name: string): Promise<{ readonly metadata: ImageMetadata | undefined; readonly url: string } | undefined>;
}
