/** Takes one document in one atomic write. If the answer is lost, or comes when nobody waits any longer, the document is released. */
import { MAX_FIELD_NAME_BYTES, MAX_FIELD_NAMES } from '../../job/foreign-fields.ts';
import { PROMPT_FIELDS } from '../../job/prompt-document.ts';
import { omitUndefined } from '../../lib/omit-undefined.ts';
import { newToken } from '../transitions.ts';
import { fromNow, HAS_LEASE_DATE, literal } from './expressions.ts';
import type { IndexHints } from './indexes.ts';
import { byId, MAJORITY, type PromptsCollection } from './prompts-collection.ts';
import { releasePipeline } from './release.ts';
import {
  type Expression,
  including,
  type PromptFields,
  type PromptFilter,
  type PromptProjection,
  type PromptSort,
  type PromptUpdate,
} from './statement-types.ts';
import type { StoredDocument } from './statements.ts';

/** Nothing else is read: a document may have 16 MB of its own. */
const CLAIM_PROJECTION: PromptProjection = {
  ...including(PROMPT_FIELDS),
  'job.run_id': 1,
  'job.attempts': 1,
  'job.previous_died': 1,
  'job.object_name': 1,
  'job.model': 1,
  field_names: fieldNames(),
};

/** Of the document itself, short ones only and not too many: a document may have names of megabytes. Nothing here can fail on a name. */
function fieldNames(): Expression {
  const names: Expression = { $map: { input: { $objectToArray: '$$ROOT' }, as: 'field', in: '$$field.k' } };
  const isShort: Expression = { $lte: [{ $strLenBytes: '$$field' }, MAX_FIELD_NAME_BYTES] };
  const short: Expression = { $filter: { input: names, as: 'field', cond: isShort } };
  return { $slice: [short, MAX_FIELD_NAMES] };
}

export interface ClaimedRecord {
  readonly record: StoredDocument;
  readonly token: string;
}

export interface TakeStatement {
  readonly filter: PromptFilter;
  /** The stages of the write. */
  readonly take: (own: PromptFields) => PromptUpdate;
  /** Of several that the filter finds the first in this order. */
  readonly sort?: PromptSort;
  readonly hint?: keyof IndexHints;
}

/** Fields for a `$set`: from now on it is this worker's. */
function own({ owner, leaseMs }: PromptsCollection, token: string): PromptFields {
  return {
    'job.token': literal(token),
    'job.owner': literal(owner),
    // Unlike the owner it stays when the job ends.
    'job.worker': literal(owner),
    'job.leased_at': '$$NOW',
    'job.lease_until': fromNow(leaseMs),
  };
}

/** @throws `queue_refused`, `invalid_document` when the server will not store it; else as `run` */
export async function takeOne(
  prompts: PromptsCollection,
  statement: TakeStatement,
): Promise<ClaimedRecord | undefined> {
  const token = newToken();
  const tries: Promise<StoredDocument | null>[] = [];
  try {
    const record = await prompts.run(async () => {
      // The attempt before may have taken the document, and its answer was lost.
      const taken = tries.length > 0 ? await findByToken(prompts, token) : null;
      if (taken !== null) return taken;
      const trying = findAndTake(prompts, { ...statement, token });
      tries.push(trying);
      return await trying;
    });
    return record === null ? undefined : { record, token };
  } catch (error) {
    for (const trying of tries) void giveBackLater(prompts, trying, token);
    throw error;
  }
}

async function findAndTake(
  prompts: PromptsCollection,
  { filter, take, sort, hint, token }: TakeStatement & { readonly token: string },
): Promise<StoredDocument | null> {
  const { collection, bounds, hints } = prompts;
  return collection.findOneAndUpdate(filter, take(own(prompts, token)), {
    ...bounds,
    ...omitUndefined({ sort }),
    ...(hint === undefined ? {} : hints[hint]),
    projection: CLAIM_PROJECTION,
  });
}

function byToken(token: string): PromptFilter {
  return { ...HAS_LEASE_DATE, 'job.token': token };
}

function findByToken({ collection, hints }: PromptsCollection, token: string): Promise<StoredDocument | null> {
  return collection.findOne(byToken(token), {
    projection: CLAIM_PROJECTION,
    ...hints.processing,
    ...MAJORITY,
  });
}

/** Nobody waits for it; without it the lease would have to run out. */
async function giveBackLater(
  { collection }: PromptsCollection,
  trying: Promise<StoredDocument | null>,
  token: string,
): Promise<void> {
  try {
    const record = await trying;
    if (record !== null) await collection.updateOne({ ...byId(record._id), 'job.token': token }, releasePipeline(1));
  } catch {
    // Refused, or unknown for ever: then the lease ends it.
  }
}

/** Whether the id, as JavaScript has it, is this document's. */
export async function isNamedBy(prompts: PromptsCollection, id: unknown, token: string): Promise<boolean> {
  const found = await prompts.run(() =>
    prompts.collection.countDocuments({ ...byId(id), 'job.token': token }, { limit: 1 }),
  );
  return found === 1;
}
