/**
 * The keys of `webhook-proof.ts`. A random key lies in the collection `text2img_keys` of the same database; it is made when the first webhook is
 * recorded. If a user may not use that collection, the key comes from the password in the URI. Somebody with another user of the database does not
 * know that password either.
 */
import { createHmac, randomBytes } from 'node:crypto';
import type { Collection } from 'mongodb';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { quote } from '../../lib/foreign-text.ts';
import type { Logger } from '../../observability/logger.ts';
import { DUPLICATE_KEY, mongoErrorCode } from './mongo-errors.ts';

interface KeyRecord {
  readonly _id: string;
  /** 32 bytes in hexadecimal digits. */
  readonly key: string;
}

export interface KnownKeys {
  readonly keys: readonly Buffer[];
  /** False: another worker may have made the first one since, or a failover hides it for a moment. */
  readonly isCurrent: boolean;
}

export interface WebhookKeysOptions {
  readonly collection: Collection<KeyRecord>;
  /** The password in the URI. */
  readonly password: string | undefined;
  readonly logger: Logger;
  run<T>(call: () => Promise<T>): Promise<T>;
}

/** In which the key lies. */
export const KEYS_COLLECTION = 'text2img_keys';
const KEY_ID = 'webhooks';
const KEY_BYTES = 32;
/** Reads only data that no failover can undo. */
const HELD = { readConcern: { level: 'majority' } } as const;
/** After this time a worker reads the key again. It puts its key back if somebody removed it. */
const FRESH_MS = 60_000;
/** Between two looks for a key that may have been made since. */
const AGAIN_MS = 5000;
const ABSENT_AGAIN_MS = 200;
/** After a failover the new primary may not know for a moment what a majority has. */
const ABSENT_MS = 5000;

export class WebhookKeys {
  readonly #options: WebhookKeysOptions;
  #key: Buffer | undefined;
  #readMs = -Infinity;
  /** Since the first look that found none. */
  #absentSinceMs = Infinity;
  #isForbidden = false;

  constructor(options: WebhookKeysOptions) {
    this.#options = options;
  }

  /** The one to write with; made where there is none. @throws `queue_failed`, `queue_unauthorized` */
  async toWrite(): Promise<Buffer> {
    if (this.#key !== undefined && this.#isFresh(FRESH_MS)) return this.#key;
    await this.#read();
    if (this.#key !== undefined && !this.#isForbidden) return this.#key;
    const fallback = this.#ofPassword();
    if (fallback !== undefined) return fallback;
    throw new Text2ImgError(
      'queue_unauthorized',
      `webhooks need a key in the collection ${KEYS_COLLECTION} of the same database; give this user find and insert there.`,
    );
  }

  /** All that a webhook may be proven with. Makes nothing. @param options `isStale`: one was not proven by those that are known */
  async toRead({ isStale = false }: { readonly isStale?: boolean } = {}): Promise<KnownKeys> {
    const mayKnow = this.#key !== undefined && this.#isFresh(FRESH_MS);
    const mayAsk = this.#key === undefined ? !this.#isFresh(ABSENT_AGAIN_MS) : !this.#isFresh(AGAIN_MS);
    if (mayAsk && (isStale || !mayKnow)) {
      const found = await this.#find();
      if (found !== undefined) this.#key = found;
    }
    // A key never changes once it lies there. That there is none must hold for a while.
    const isAbsent = this.#key === undefined && performance.now() - this.#absentSinceMs > ABSENT_MS;
    const isCurrent = this.#isForbidden || (this.#key !== undefined && this.#isFresh(FRESH_MS)) || isAbsent;
    return { keys: [this.#key, this.#ofPassword()].filter((key) => key !== undefined), isCurrent };
  }

  #isFresh(ms: number): boolean {
    return performance.now() - this.#readMs < ms;
  }

  /** Reads the key that lies there. If there is none, puts the known key or a new one there. */
  async #read(): Promise<void> {
    const found = await this.#find();
    if (found !== undefined) this.#key = found;
    if (found !== undefined || this.#isForbidden) return;
    const made = this.#key ?? randomBytes(KEY_BYTES);
    try {
      await this.#options.run(() => this.#insert(made));
      // Another worker may have been quicker: only what lies there counts, and only once no failover can take it back.
      this.#key = await this.#options.run(() => this.#findInserted());
    } catch (error) {
      this.#forbidOrThrow(error);
      this.#key = made;
    }
  }

  /** @throws `queue_failed`, to be repeated, until the majority has it */
  async #findInserted(): Promise<Buffer> {
    const found = await this.#find();
    if (found !== undefined) return found;
    throw new Text2ImgError(
      'queue_failed',
      `the key in ${KEYS_COLLECTION} is not held by a majority of the servers yet.`,
    );
  }

  async #insert(key: Buffer): Promise<void> {
    try {
      await this.#options.collection.insertOne({ _id: KEY_ID, key: key.toString('hex') });
    } catch (error) {
      if (mongoErrorCode(error) !== DUPLICATE_KEY) throw error;
    }
  }

  async #find(): Promise<Buffer | undefined> {
    this.#readMs = performance.now();
    try {
      const found = await this.#options.run(() => this.#options.collection.findOne({ _id: KEY_ID }, HELD));
      this.#absentSinceMs = found === null ? Math.min(this.#absentSinceMs, this.#readMs) : Infinity;
      if (found === null) return undefined;
      this.#isForbidden = false;
      const hex: unknown = found.key;
      if (typeof hex === 'string' && /^[0-9a-f]{64}$/.test(hex)) return Buffer.from(hex, 'hex');
      throw new Text2ImgError(
        'queue_failed',
        `the document ${quote(KEY_ID)} in ${KEYS_COLLECTION} holds no key of 64 hexadecimal digits; remove it, and a new one is made.`,
      );
    } catch (error) {
      this.#forbidOrThrow(error);
      return undefined;
    }
  }

  #forbidOrThrow(error: unknown): void {
    if (!(error instanceof Text2ImgError && error.code === 'queue_unauthorized')) throw error;
    if (!this.#isForbidden && this.#options.password !== undefined)
      this.#options.logger.warning(
        'this user may not find and insert in the collection of the webhooks’ key. A key from the password is used; pending webhooks fail when it changes',
        { collection: KEYS_COLLECTION, error },
      );
    this.#isForbidden = true;
  }

  #ofPassword(): Buffer | undefined {
    const { password } = this.#options;
    if (password === undefined || password === '') return undefined;
    return createHmac('sha256', password).update('text2img webhook key 1').digest();
  }
}
