/**
 * Enqueue: adds documents as pending, all or none, as far as a server without transactions can: what was added before one was refused is taken
 * back. `job.enqueue_id` says which call a document came with, so that nothing else is taken back.
 */
import { ObjectId } from 'mongodb';
import { randomBytes } from 'node:crypto';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { type DocumentId, promptIdText } from '../../job/document-id.ts';
import type { RawPromptDocument } from '../prompt-queue.ts';
import { documentIdOf } from './bson-ids.ts';
import { DUPLICATE_KEY, mongoErrorCode } from './mongo-errors.ts';
import type { PromptsCollection } from './prompts-collection.ts';

export async function enqueue(
  prompts: PromptsCollection,
  documents: readonly RawPromptDocument[],
): Promise<readonly DocumentId[]> {
  if (documents.length === 0) return [];
  const enqueueId = randomBytes(12).toString('hex');
  const records = documents.map((document) => toRecord(document, enqueueId));
  const ids = records.map(({ _id }) => _id);
  const ours = { _id: { $in: ids }, 'job.enqueue_id': enqueueId };
  try {
    await prompts.run(async () => {
      // What a try before this one has added is not added again.
      const added = await prompts.collection.find(ours as never, { projection: { _id: 1 } }).toArray();
      const there = new Set(added.map(({ _id }) => promptIdText(documentIdOf(_id))));
      const missing = records.filter(({ _id }) => !there.has(promptIdText(documentIdOf(_id))));
      if (missing.length > 0) await prompts.collection.insertMany(missing as never, { ordered: true });
    });
  } catch (error) {
    const unclaimed = { ...ours, status: 'pending', 'job.token': { $exists: false } };
    await prompts.run(() => prompts.collection.deleteMany(unclaimed as never));
    const { cause } = error as Error;
    if (mongoErrorCode(cause) === DUPLICATE_KEY) throw await duplicate(prompts, ids);
    throw error;
  }
  return ids.map(documentIdOf);
}

function toRecord(
  { _id, ...fields }: RawPromptDocument,
  enqueueId: string,
): { readonly _id: unknown } & RawPromptDocument {
  if (fields['status'] !== undefined && fields['status'] !== 'pending') {
    throw new Text2ImgError(
      'invalid_document',
      `a document with status ${JSON.stringify(fields['status'])} cannot be added; allowed: "pending".`,
    );
  }
  return {
    _id: _id === undefined ? new ObjectId() : _id,
    ...fields,
    status: 'pending',
    job: { enqueue_id: enqueueId },
  };
}

async function duplicate(prompts: PromptsCollection, ids: readonly unknown[]): Promise<Text2ImgError> {
  const existing = await prompts.run(() =>
    prompts.collection.findOne({ _id: { $in: ids } } as never, { projection: { _id: 1 } }),
  );
  // Twice in the same call, where none is there before.
  const name = existing === null ? 'given twice' : `"${promptIdText(documentIdOf(existing._id))}"`;
  return new Text2ImgError(
    'invalid_document',
    `a document with the _id ${name} is in the queue already; nothing was added.`,
  );
}
