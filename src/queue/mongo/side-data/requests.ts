/** Repeated requests: a record for each key, made by the first one. */
import { randomBytes } from 'node:crypto';
import { Text2ImgError } from '../../../errors/text2img-error.ts';
import type { NewRequest, RequestRecord, SideData } from '../../side-data.ts';
import { REQUEST_MS } from '../../side-data.ts';
import { textsOf } from '../../side-records.ts';
import { fromNow, literal } from '../expressions.ts';
import type { SideCollection, SideCollections, SideDocument } from './side-collections.ts';

const NAME = 'text2img_requests';

export function requestsIn(side: SideCollections): SideData['requests'] {
  const keyOf = (id: string): string => side.key('request', id);
  return {
    begin: async (request) => {
      const nonce = randomBytes(16).toString('hex');
      const done = await side.write(NAME, (collection) => begin(collection, keyOf(request.id), { ...request, nonce }));
      if (done === undefined)
        throw new Text2ImgError(
          'queue_unauthorized',
          `repeated requests need the collection ${NAME}; give this user find, insert and update there.`,
        );
      return { ...toRecord(request.id, done.result), isNew: done.result['nonce'] === nonce };
    },
    added: async (id) => {
      await side.write(NAME, (collection) => collection.updateOne({ _id: keyOf(id) }, [{ $set: { is_added: true } }]));
    },
  };
}

/** One write. A record that is too old, which the server has not removed yet, is written anew. Repeating the call finds its own record. */
async function begin(
  collection: SideCollection,
  _id: string,
  { bodyHash, promptIds, nonce }: NewRequest & { readonly nonce: string },
): Promise<SideDocument> {
  const record = {
    _id: '$_id',
    body_hash: literal(bodyHash),
    prompt_ids: literal(promptIds),
    is_added: false,
    nonce: literal(nonce),
    until: fromNow(REQUEST_MS),
  };
  const update = [{ $replaceWith: { $cond: [{ $gt: ['$until', '$$NOW'] }, '$$ROOT', record] } }];
  const found = await collection.findOneAndUpdate({ _id }, update, { upsert: true, returnDocument: 'after' });
  if (found === null) throw new Text2ImgError('queue_failed', 'the server made no record of a request.');
  return found;
}

function toRecord(
  id: string,
  { body_hash: bodyHash, prompt_ids: promptIds, is_added: isAdded }: SideDocument,
): RequestRecord {
  return { id, bodyHash: String(bodyHash), promptIds: textsOf(promptIds), isAdded: isAdded === true };
}
