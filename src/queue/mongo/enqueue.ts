/**
 * Enqueue: adds documents as pending, all or none, as far as a server without transactions can. If the server refuses one, we remove those that we
 * added before it. Each document gets an `_id` and a `job.enqueue_id` before we send it. So a part that we send again adds nothing twice, and we
 * remove only our own documents. A call with a name of its own removes none: somebody else may be adding the same ones (`docs/decisions/serve-queue.md`).
 */
import { randomBytes } from 'node:crypto';
import { BSON, MongoBulkWriteError, ObjectId } from 'mongodb';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { canonicalEjsonOf, type DocumentId, promptIdText } from '../../job/document-id.ts';
import { isRecord, own } from '../../lib/foreign-record.ts';
import {
  type AddedDocument,
  alreadyThere,
  checkAddedDocuments,
  type NamedDocument,
  NOTHING_ADDED,
} from '../added-document.ts';
import { omitUndefined } from '../../lib/omit-undefined.ts';
import type { EnqueueOptions, JobLabels, RawPromptDocument } from '../prompt-queue.ts';
import { bsonIdOf, documentIdOf } from './bson-ids.ts';
import { callServer } from './call-server.ts';
import { fieldsWithWidths, withWidths } from './expressions.ts';
import { DUPLICATE_KEY, isServersTrouble } from './mongo-errors.ts';
import type { PromptsCollection } from './prompts-collection.ts';
import { leftSentence, takeBack } from './take-back.ts';

/** The most that one command holds. */
const PART = { count: 10_000, bytes: 8 * 1024 * 1024 } as const;
/** Ids of one query. */
const IDS_AT_ONCE = 1000;
/** A document must have room for what its completion adds. */
const MAX_DOCUMENT_BYTES = 15 * 1024 * 1024;
/** Nobody holds a claim while he adds documents, and a part may have a slow way to go. */
const PATIENCE = { deadlineMs: 120_000, patienceMs: 300_000 } as const;

interface NewRecord {
  readonly _id: unknown;
  /** As JavaScript compares it. */
  readonly key: string;
  /** How it is called in an error. */
  readonly name: string;
  readonly document: Readonly<Record<string, unknown>>;
  readonly isGiven: boolean;
  readonly bytes: number;
}

export interface MongoEnqueueOptions extends EnqueueOptions {
  /** By the server's clock. */
  readonly cancelAt?: Date | undefined;
}

export async function enqueue(
  prompts: PromptsCollection,
  documents: readonly RawPromptDocument[],
  options: MongoEnqueueOptions = {},
): Promise<readonly DocumentId[]> {
  const isNamed = options.enqueueId !== undefined;
  const { enqueueId = randomBytes(12).toString('hex'), labels = {}, modelOf = () => labels.model, cancelAt } = options;
  const job = { ...labels, enqueue_id: enqueueId, cancel_at: cancelAt };
  const records = checkAddedDocuments(documents, options).map((document, index) =>
    toRecord(document, { ...job, model: modelOf(index) }),
  );
  if (!isNamed) await checkAreNew(prompts, records);
  const begun: (readonly NewRecord[])[] = [];
  try {
    for (const part of partsOf(records)) {
      begun.push(part);
      await callServer(() => addPart(prompts, part, enqueueId), { place: placeOf(prompts), ...PATIENCE });
    }
  } catch (error) {
    const known = Text2ImgError.from(error);
    const ids = begun.flat().map(({ _id }) => _id);
    const left = isNamed
      ? leftSentence(enqueueId)
      : await takeBack(prompts, { ids, enqueueId, isUnsure: isServersTrouble(known) });
    const sentence = known.message.replace(NOTHING_ADDED, '').trimEnd();
    throw new Text2ImgError(known.code, `${sentence} ${left ?? NOTHING_ADDED}`, { cause: error });
  }
  return records.map(({ _id }) => documentIdOf(_id));
}

interface NewState extends JobLabels {
  readonly enqueue_id: string;
  readonly cancel_at: Date | undefined;
}

function toRecord({ id, fields, name }: NamedDocument, job: NewState): NewRecord {
  const _id = id === undefined ? new ObjectId() : bsonOf(id);
  const document = {
    _id,
    ...fieldsWithWidths(fields),
    status: 'pending',
    job: omitUndefined(job),
  };
  const bytes = BSON.calculateObjectSize(document);
  if (bytes > MAX_DOCUMENT_BYTES)
    throw new Text2ImgError(
      'invalid_document',
      `${name}: it has ${bytes} bytes in the database; allowed are at most ${MAX_DOCUMENT_BYTES}. ${NOTHING_ADDED}`,
    );
  return { _id, key: keyOf(_id), name, document, isGiven: id !== undefined, bytes };
}

function bsonOf(id: NonNullable<AddedDocument['id']>): unknown {
  return id.kind === 'foreign' ? withWidths(id.value) : bsonIdOf(id);
}

function keyOf(_id: unknown): string {
  return canonicalEjsonOf(documentIdOf(_id));
}

/** Before anything is added: what is refused now need not be taken back. */
async function checkAreNew(prompts: PromptsCollection, records: readonly NewRecord[]): Promise<void> {
  const given = records.filter(({ isGiven }) => isGiven);
  for (let from = 0; from < given.length; from += IDS_AT_ONCE) {
    const some = given.slice(from, from + IDS_AT_ONCE);
    const found = await prompts.run(() =>
      prompts.collection.findOne({ _id: { $in: some.map(({ _id }) => _id) } }, { projection: { _id: 1 } }),
    );
    if (found !== null) throw refuseExisting(some, found._id);
  }
}

function refuseExisting(records: readonly NewRecord[], _id: unknown): Text2ImgError {
  const name = records.find(({ key }) => key === keyOf(_id))?.name ?? 'one of them';
  return alreadyThere(name, promptIdText(documentIdOf(_id)));
}

function* partsOf(records: readonly NewRecord[]): Generator<readonly NewRecord[]> {
  let part: NewRecord[] = [];
  let bytes = 0;
  for (const record of records) {
    if (part.length > 0 && (part.length >= PART.count || bytes + record.bytes > PART.bytes)) {
      yield part;
      part = [];
      bytes = 0;
    }
    part.push(record);
    bytes += record.bytes;
  }
  if (part.length > 0) yield part;
}

/** May be repeated, and may run beside an attempt that nobody waits for any more: the ids are the same. */
async function addPart(
  { collection }: PromptsCollection,
  part: readonly NewRecord[],
  enqueueId: string,
): Promise<void> {
  try {
    await collection.insertMany(
      part.map(({ document }) => document),
      {
        maxTimeMS: PATIENCE.deadlineMs,
      },
    );
  } catch (error) {
    const duplicates = duplicatesIn(error, part);
    if (duplicates === undefined) throw error;
    for (let from = 0; from < duplicates.length; from += IDS_AT_ONCE)
      await checkAreOurs(collection, duplicates.slice(from, from + IDS_AT_ONCE), enqueueId);
  }
}

interface Duplicate {
  readonly record: NewRecord;
  /** The server's sentence. */
  readonly reason: string;
}

/** Where nothing else went wrong than that some are there already. */
function duplicatesIn(error: unknown, part: readonly NewRecord[]): readonly Duplicate[] | undefined {
  if (!(error instanceof MongoBulkWriteError) || error.result.getWriteConcernError() !== undefined) return undefined;
  const errors = [error.writeErrors].flat();
  if (errors.length === 0 || errors.some(({ code }) => code !== DUPLICATE_KEY)) return undefined;
  return errors.flatMap(({ index, errmsg: reason = 'duplicate key' }) => {
    const record = part[index];
    return record === undefined ? [] : { record, reason };
  });
}

/** @throws `invalid_document` for one of somebody else's, `queue_failed` where adding them again may help */
async function checkAreOurs(
  collection: PromptsCollection['collection'],
  duplicates: readonly Duplicate[],
  enqueueId: string,
): Promise<void> {
  const records = duplicates.map(({ record }) => record);
  const found = await collection
    .find({ _id: { $in: records.map(({ _id }) => _id) } }, { projection: { 'job.enqueue_id': 1 } })
    .toArray();
  const foreign = found.find(({ job }) => !isRecord(job) || own(job, 'enqueue_id') !== enqueueId);
  if (foreign !== undefined) throw refuseExisting(records, foreign._id);
  const there = new Set(found.map(({ _id }) => keyOf(_id)));
  const missing = duplicates.filter(({ record }) => !there.has(record.key));
  const refused = missing.find(({ reason }) => !isAboutId(reason));
  // A unique index of the operator's on another field.
  if (refused !== undefined)
    throw new Text2ImgError(
      'invalid_document',
      `${refused.record.name}: the server refuses the document: ${refused.reason}.`,
    );
  const [gone] = missing;
  if (gone === undefined) return;
  // Between the two statements the collection was renamed, or somebody removed the document.
  throw new Text2ImgError('queue_failed', `${gone.record.name}: the document was in the queue, and is gone.`);
}

/** Of the driver's errors only the server's sentence says it: `… index: _id_ dup key: { _id: … }`. */
function isAboutId(reason: string): boolean {
  const [place = ''] = reason.split(' dup key', 1);
  return place.endsWith(' index: _id_');
}

function placeOf({ collection }: PromptsCollection): string {
  return `MongoDB ${collection.namespace}`;
}
