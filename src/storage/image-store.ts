/**
 * The contract of an image store. The object's name is a function of the document's `_id` (invariant 2). So a store must distinguish three cases.
 * It adopts an object of the same run. It replaces an object of another run of the same document, if the caller still has the claim. It never
 * touches a stranger's object.
 * `file-image-store.ts` and `gcs-image-store.ts` pass the conformance suite in `test/storage/image-store-conformance.ts`.
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
  /** The value of `image_url`. */
  readonly url: string;
  /** Where it is `foreign`: the other document's key, as `doc-key.ts` reads it; undefined where nobody knows. */
  readonly owner?: string | undefined;
}

/** The image under a name. */
export interface FoundImage {
  /** Undefined: not written by us. */
  readonly metadata: ImageMetadata | undefined;
  readonly url: string;
  /** Why the store will not let this object be replaced, as a sentence without its full stop; absent where nothing is known to forbid it. */
  readonly refusal?: string;
}

export interface ReadOptions {
  /** More is refused before it is read. */
  readonly maxBytes: number;
  /** Only this document's object. Without one any object is read, also one that the service did not write: an image that a job begins with. */
  readonly docKey?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface ReadImage {
  /** As they are stored. */
  readonly bytes: Uint8Array;
  /** Undefined: not written by us. */
  readonly metadata: ImageMetadata | undefined;
  /** The version that was read: other bytes under the same name have another one. */
  readonly generation: string;
}

/** Bytes of an image. */
export interface BytePart {
  readonly start: number;
  /** The last byte, included. */
  readonly end: number;
}

/** One version of an image, to be read piece by piece. Its reader closes it. */
export interface OpenImage extends AsyncDisposable {
  readonly sizeBytes: number;
  /** Of its bytes, in base64; undefined: the store does not know it. */
  readonly md5: string | undefined;
  /** Undefined: not written by us. */
  readonly metadata: ImageMetadata | undefined;
  /** As in `ReadImage`. */
  readonly generation: string;
  /**
   * The bytes in order, or those of the part. A piece is read when it is asked for, so that a slow reader holds about one in memory. Of the whole image
   * the last piece is given out only where all together are what was stored.
   * @throws `store_failed`, also where this version is gone; `store_refused`
   */
  pieces(part?: BytePart): AsyncGenerator<Uint8Array, void>;
}

/** `kept`: it is this document's already, or a namesake's, whose name this document does not need. */
export type AdoptOutcome = 'adopted' | 'kept' | 'absent';

/** `foreign`: another document's object, or nobody's, lies under this name. It stays. */
export type RemoveOutcome = 'removed' | 'absent' | 'foreign';

export interface ProbeOptions {
  /** Of the image that could not be stored: a disk may have room for less. */
  readonly sizeBytes: number;
  readonly signal?: AbortSignal;
}

export interface ImageStore extends AsyncDisposable {
  /** Where it is, for logs; no secrets. */
  readonly description: string;

  /** Proves before anything is claimed that images can be written: throws `store_unwritable`, `disk_full` or `store_failed`. */
  check(options?: { readonly signal?: AbortSignal }): Promise<void>;

  /**
   * Writes the object, all or nothing. `mayReplace` is asked right before another run's object is overwritten: it renews
   * the claim, and false means that the caller lost it.
   */
  put(
    object: ImageObject,
    options: { readonly mayReplace: () => Promise<boolean>; readonly signal?: AbortSignal },
  ): Promise<PutResult>;

  /** The object's metadata and URL, or undefined; a worker looks before it generates. */
  find(name: string, options?: { readonly signal?: AbortSignal }): Promise<FoundImage | undefined>;

  /**
   * The object's bytes, whole and of one generation; undefined where there is none.
   * @throws `image_too_large`; `foreign_object` where `docKey` is given and it is another's or nobody's; `store_failed`, `store_refused`
   */
  read(name: string, options: ReadOptions): Promise<ReadImage | undefined>;

  /**
   * The same object, without its bytes.
   * @throws what `read` throws
   */
  open(name: string, options: ReadOptions): Promise<OpenImage | undefined>;

  /**
   * Makes an object this document's, if it belongs to another database or collection, or nobody knows it. The store writes the document's key
   * beside exactly the object that is there now, under the object's own precondition. The image stays. For an operator who says so, never for a
   * worker.
   * @throws `store_failed` when it was changed meanwhile
   */
  adopt(name: string, docKey: string): Promise<AdoptOutcome>;

  /**
   * Deletes this document's object: exactly the one that was looked at, never one that was written since.
   * @throws `store_refused` where the store does not let it go: the right to delete is missing, or the object is held or retained
   */
  remove(name: string, docKey: string, options?: { readonly signal?: AbortSignal }): Promise<RemoveOutcome>;

  /**
   * Finds out whether the store refuses one image or has trouble of its own. Resolves when the store takes another object now, and throws the
   * reason when it does not. Tries once.
   * @throws `store_unwritable`, `disk_full`, `store_failed`; the signal's reason when it is aborted
   */
  probe(options: ProbeOptions): Promise<void>;
}
