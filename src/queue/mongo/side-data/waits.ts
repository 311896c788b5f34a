/** Requests that are waited for, by caller. Each has a document of its own, so that two servers never write the same one but to stop it. */
import type { RequestStop, SideData, WaitingRequest } from '../../side-data.ts';
import { MOST_WAITS, WAIT_MS } from '../../side-data.ts';
import { requestStopOf, textsOf } from '../../side-records.ts';
import { fromNow, literal } from '../expressions.ts';
import { HINT_ONLY, LASTS, type SideCollections, type SideDocument } from './side-collections.ts';

const NAME = 'text2img_requests';
const FIELDS = { request_id: 1, prompt_ids: 1, is_left: 1, stop: 1, elapsed: { $subtract: ['$$NOW', '$begun'] } };

export function waitsIn(side: SideCollections): SideData['waits'] {
  const keyOf = (caller: string, id: string): string => side.key('wait', caller, id);
  return {
    keep: async (caller, { id, promptIds }, { hasBegun = false, isLeft = false, forMs = WAIT_MS } = {}) => {
      const update = {
        request_id: literal(id),
        prompt_ids: literal(promptIds),
        is_left: isLeft,
        until: fromNow(forMs),
        ...(hasBegun ? { begun: { $ifNull: ['$begun', '$$NOW'] } } : {}),
      };
      await side.write(NAME, (collection) =>
        collection.updateOne({ _id: keyOf(caller, id) }, [{ $set: update }], { upsert: true, ...HINT_ONLY }),
      );
    },
    of: async (caller) => {
      const filter = { ...side.keysBelow('wait', caller), ...LASTS };
      const options = { projection: FIELDS, sort: { _id: 1 }, limit: MOST_WAITS } as const;
      const found = await side.read(NAME, (collection) => collection.find(filter, options).toArray(), []);
      return found.map(toWaiting);
    },
    stop: async (caller, id, stop) => {
      const update = [{ $set: { stop: stop === 'skipped' ? { $ifNull: ['$stop', stop] } : stop } }];
      await side.write(NAME, (collection) => collection.updateOne({ _id: keyOf(caller, id), ...LASTS }, update));
    },
    end: async (caller, id) => {
      await side.write(NAME, (collection) => collection.deleteOne({ _id: keyOf(caller, id) }, HINT_ONLY));
    },
  };
}

function toWaiting(document: SideDocument): WaitingRequest {
  const { request_id: id, prompt_ids: promptIds, is_left: isLeft, stop, elapsed } = document;
  const known: RequestStop | undefined = requestStopOf(stop);
  return {
    id: String(id),
    promptIds: textsOf(promptIds),
    isLeft: isLeft === true,
    stop: known,
    // A difference of dates: a number of its own type where it is large.
    elapsedMs: elapsed === null || elapsed === undefined ? undefined : Math.max(0, Number(elapsed)),
  };
}
