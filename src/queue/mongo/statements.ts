/**
 * Sends the queue's statements, over our own types. A name that does not exist is a type error in a filter, an update or an
 * expression (`test/queue/mongo/statement-types.test.ts`). Only this file casts to the driver's types: they allow one type of `_id`, where any is
 * legal, and do not describe pipelines.
 */
import type { Collection, Document, Filter, FindCursor } from 'mongodb';
import type {
  CollectionValidator,
  PromptFilter,
  PromptProjection,
  PromptSort,
  PromptUpdate,
  Stage,
} from './statement-types.ts';

/** A document as the driver gives it; nothing in it is believed. */
export interface StoredDocument {
  readonly _id?: unknown;
  readonly [field: string]: unknown;
}

/** Bounds and the index to be used. */
export interface StatementBounds {
  readonly maxTimeMS?: number;
  readonly hint?: string;
  readonly readConcern?: { readonly level: 'majority' };
}

export interface FindStatement extends StatementBounds {
  readonly projection: PromptProjection;
  readonly sort?: PromptSort;
  readonly skip?: number;
  readonly limit?: number;
  readonly batchSize?: number;
}

export interface TakingStatement extends StatementBounds {
  readonly projection: PromptProjection;
  readonly sort?: PromptSort;
}

export class PromptStatements {
  readonly #collection: Collection;

  constructor(collection: Collection) {
    this.#collection = collection;
  }

  get name(): string {
    return this.#collection.collectionName;
  }

  /** Of the collection in its database, for sentences. */
  get namespace(): string {
    return this.#collection.namespace;
  }

  find(filter: PromptFilter, options: FindStatement): FindCursor<StoredDocument> {
    return this.#collection.find<StoredDocument>(driverFilter(filter), options);
  }

  async findOne(filter: PromptFilter, options: FindStatement): Promise<StoredDocument | null> {
    return this.#collection.findOne<StoredDocument>(driverFilter(filter), options);
  }

  /** @returns the document as it is afterwards */
  async findOneAndUpdate(
    filter: PromptFilter,
    update: PromptUpdate,
    options: TakingStatement,
  ): Promise<StoredDocument | null> {
    // The driver's type of a hint knows no names here.
    const driverOptions: Document = options;
    return this.#collection.findOneAndUpdate(driverFilter(filter), [...update], {
      ...driverOptions,
      returnDocument: 'after',
      includeResultMetadata: false,
    });
  }

  async updateOne(
    filter: PromptFilter,
    update: PromptUpdate,
  ): Promise<{ matchedCount: number; modifiedCount: number }> {
    return this.#collection.updateOne(driverFilter(filter), [...update]);
  }

  async updateMany(filter: PromptFilter, update: PromptUpdate): Promise<{ matchedCount: number }> {
    return this.#collection.updateMany(driverFilter(filter), [...update]);
  }

  async deleteMany(filter: PromptFilter): Promise<void> {
    await this.#collection.deleteMany(driverFilter(filter));
  }

  async deleteOne(filter: PromptFilter): Promise<{ deletedCount: number }> {
    return this.#collection.deleteOne(driverFilter(filter));
  }

  async countDocuments(filter: PromptFilter, options: StatementBounds & { readonly limit?: number }): Promise<number> {
    return this.#collection.countDocuments(driverFilter(filter), options);
  }

  async aggregate(stages: readonly Stage[], options: StatementBounds): Promise<readonly StoredDocument[]> {
    return this.#collection.aggregate<StoredDocument>([...stages], options).toArray();
  }

  async insertMany(documents: readonly StoredDocument[], options: { readonly maxTimeMS: number }): Promise<void> {
    // Unlike the driver's, our documents may have any `_id`.
    await this.#collection.insertMany([...documents] as Document[], { ordered: false, ...options });
  }

  /** @throws the driver's own error where there is no collection */
  async validator(): Promise<CollectionValidator | undefined> {
    const options: { readonly validator?: CollectionValidator } = await this.#collection.options();
    return options.validator;
  }
}

function driverFilter(filter: PromptFilter): Filter<Document> {
  // A filter may have undefined where the driver's type wants the field left out: the server is sent null, which such a filter means.
  return filter as Filter<Document>;
}
