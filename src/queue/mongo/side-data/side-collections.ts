/**
 * The collections of side data. They are made at the first write, each with an index that removes what is too old. A user without rights there finds
 * nothing and keeps nothing.
 */
import type { Collection } from 'mongodb';
import { Text2ImgError } from '../../../errors/text2img-error.ts';
import type { Logger } from '../../../observability/logger.ts';
import { sideKey, sideRange } from '../../side-records.ts';
import type { MongoConnection } from '../mongo-connection.ts';
import { isUnauthorized, mongoErrorCode, reasonOf } from '../mongo-errors.ts';

export type SideName = 'text2img_requests' | 'text2img_previews' | 'text2img_watch' | 'text2img_workers';

/** A document as the driver gives it; nothing in it is believed. */
export interface SideDocument {
  readonly _id: string;
  /** It is gone from this time on, and removed some time later. */
  readonly until?: Date;
  readonly [field: string]: unknown;
}

export type SideCollection = Collection<SideDocument>;

/** For what may be lost with a server: the client's other writes wait for a majority. */
export const HINT_ONLY = { writeConcern: { w: 1 } } as const;
/** In a filter: the document is not too old. */
export const LASTS = { $expr: { $gt: ['$until', '$$NOW'] } } as const;

/** IndexOptionsConflict, IndexKeySpecsConflict: the operator has made one of his own. */
const CONFLICTS: ReadonlySet<unknown> = new Set([85, 86]);
/** A right that was given meanwhile is noticed after this time. */
const FORBIDDEN_MS = 60_000;

export class SideCollections {
  readonly #connection: MongoConnection;
  readonly #logger: Logger;
  readonly #made = new Map<SideName, Promise<void>>();
  readonly #forbiddenMs = new Map<SideName, number>();
  readonly #warned = new Set<SideName>();

  constructor(connection: MongoConnection, logger: Logger) {
    this.#connection = connection;
    this.#logger = logger;
  }

  /** Several queues of one database share these collections. */
  key(...parts: readonly string[]): string {
    return sideKey(this.#connection.collection.collectionName, ...parts);
  }

  /** A filter for all keys that begin like this. */
  keysBelow(...parts: readonly string[]): { readonly _id: { readonly $gte: string; readonly $lt: string } } {
    const { from, before } = sideRange(this.#connection.collection.collectionName, ...parts);
    return { _id: { $gte: from, $lt: before } };
  }

  /** @returns undefined where this user may not write @throws `queue_failed` and the like */
  async write<T>(name: SideName, call: (collection: SideCollection) => Promise<T>): Promise<{ result: T } | undefined> {
    return this.#unlessForbidden(name, async (collection) => {
      await this.#make(name, collection);
      return call(collection);
    });
  }

  /** @returns `nothing` where this user may not read @throws `queue_failed` and the like */
  async read<T>(name: SideName, call: (collection: SideCollection) => Promise<T>, nothing: T): Promise<T> {
    const done = await this.#unlessForbidden(name, call);
    return done === undefined ? nothing : done.result;
  }

  async #unlessForbidden<T>(
    name: SideName,
    call: (collection: SideCollection) => Promise<T>,
  ): Promise<{ result: T } | undefined> {
    const prompts = await this.#connection.open();
    if (performance.now() < (this.#forbiddenMs.get(name) ?? -Infinity)) return undefined;
    const collection = this.#connection.sideCollection<SideDocument>(name);
    try {
      return { result: await prompts.run(() => call(collection)) };
    } catch (error) {
      if (!(error instanceof Text2ImgError && error.code === 'queue_unauthorized')) throw error;
      this.#forbiddenMs.set(name, performance.now() + FORBIDDEN_MS);
      if (!this.#warned.has(name))
        this.#logger.warning('this user may not use a collection of the service; what lies there is switched off', {
          collection: name,
          error,
        });
      this.#warned.add(name);
      return undefined;
    }
  }

  /** Once. Without the right to make the index, old documents stay there. */
  #make(name: SideName, collection: SideCollection): Promise<void> {
    const known = this.#made.get(name);
    if (known !== undefined) return known;
    const making = this.#makeIndex(collection).catch((error: unknown) => {
      this.#made.delete(name);
      throw error;
    });
    this.#made.set(name, making);
    return making;
  }

  async #makeIndex(collection: SideCollection): Promise<void> {
    try {
      await collection.createIndex({ until: 1 }, { name: 'text2img_until', expireAfterSeconds: 0 });
    } catch (error) {
      if (!CONFLICTS.has(mongoErrorCode(error)) && !isUnauthorized(error)) throw error;
      this.#logger.debug('an index that removes old side data cannot be made', {
        collection: collection.collectionName,
        reason: reasonOf(error),
      });
    }
  }
}
