/** Stuck: pending documents that no worker can claim, because the server will not store what is written into them. For `doctor`. */
import type { Document } from 'mongodb';
import { promptIdText } from '../../job/document-id.ts';
import { documentIdOf } from './bson-ids.ts';
import { statusIs } from './expressions.ts';
import type { PromptsCollection } from './prompts-collection.ts';

/** The most that is told; who has more has one cause. */
const LIMIT = 20;
/** A claim adds about 300 bytes to a document, which may have 16 MB. */
const LARGEST_CLAIMABLE_BYTES = 16 * 1024 * 1024 - 512;

/** @returns sentences */
export async function stuck(prompts: PromptsCollection): Promise<readonly string[]> {
  const { collection } = prompts;
  const find = (condition: Document): Promise<string[]> =>
    prompts.run(async () => {
      const filter = { status: 'pending', $and: [{ $expr: statusIs('pending') }, condition] };
      const options = { projection: { _id: 1 }, limit: LIMIT, ...prompts.hints.pending };
      const found = await collection.find(filter as never, options).toArray();
      return found.map(({ _id }) => promptIdText(documentIdOf(_id)));
    });
  const tooLarge = await find({ $expr: { $gt: [{ $bsonSize: '$$ROOT' }, LARGEST_CLAIMABLE_BYTES] } });
  const validator = await prompts.run(async () => (await collection.options())['validator'] as Document | undefined);
  const invalid = validator === undefined ? [] : await find({ $nor: [validator] });
  return [
    ...tooLarge.map((id) => `${id} is too large: no room is left in its 16 MB`),
    ...invalid.map((id) => `${id} does not pass the collection's own validator, so that it cannot be changed`),
  ];
}
