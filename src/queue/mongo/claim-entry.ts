/** Claims one document that a walk has found, by its `_id`, or by its place in the index where the `_id` names nothing. */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { promptIdText } from '../../job/document-id.ts';
import { omitUndefined } from '../../lib/omit-undefined.ts';
import type { Endings, FailureRecord } from '../prompt-queue.ts';
import { canBeSent, documentIdOf, namingOf } from './bson-ids.ts';
import { endUnclaimed } from './end-unclaimed.ts';
import { HAS_LEASE_DATE } from './expressions.ts';
import { byId, type PromptsCollection } from './prompts-collection.ts';
import type { PromptFilter } from './statement-types.ts';
import { type ClaimedRecord, isNamedBy, type TakeStatement, takeOne } from './take-one.ts';
import type { Walk, WalkEntry } from './walk.ts';

const UNNAMED = {
  code: 'invalid_document',
  message:
    'its "_id" cannot be used as a name: it is not valid UTF-8, has numbers or "_bsontype" as field names, or JavaScript cannot keep it.',
} as const;

export const TOO_LARGE = {
  code: 'invalid_document',
  message: 'the document has more than 15 MB, so the service has no room for its own fields.',
} as const;

export interface EntryClaim extends Pick<TakeStatement, 'take'> {
  readonly walk: Walk;
  readonly entry: WalkEntry;
  /** The claim succeeds only if the document still matches this. */
  readonly filter: PromptFilter;
  readonly endings: Endings | undefined;
}

/** `missed`: somebody else was faster. `passed`: it was ended or is passed over from now on. */
export type EntryOutcome = ClaimedRecord | 'missed' | 'passed';

/** @throws as `run` */
export async function claimEntry(prompts: PromptsCollection, claim: EntryClaim): Promise<EntryOutcome> {
  const { walk, entry, filter, take, endings } = claim;
  const id: unknown = entry.document['_id'];
  const isSendable = canBeSent(id);
  try {
    const byItsId = isSendable ? await takeOne(prompts, { filter: { ...byId(id), ...filter }, take }) : undefined;
    const taken = byItsId ?? (namingOf(id) === 'surely' ? undefined : await takeOne(prompts, atPlace(claim)));
    if (taken === undefined) return 'missed';
    walk.hasTaken = true;
    const takenId: unknown = taken.record['_id'];
    const takenNaming = namingOf(takenId);
    if (takenNaming === 'surely' || (takenNaming === 'maybe' && (await isNamedBy(prompts, takenId, taken.token))))
      return taken;
    await endUnclaimed(prompts, {
      filter: { ...HAS_LEASE_DATE, 'job.token': taken.token },
      failure: UNNAMED,
      endings,
    });
    return 'passed';
  } catch (error) {
    const { code } = Text2ImgError.from(error);
    if (code !== 'queue_refused' && code !== 'invalid_document') throw error;
    const refused = Text2ImgError.from(error);
    const isEnded =
      code === 'invalid_document' &&
      isSendable &&
      (await end(prompts, { filter: { ...byId(id), ...filter }, failure: TOO_LARGE, endings }));
    return isEnded ? 'passed' : pass(prompts, claim, refused);
  }
}

/** Under a doubtful `_id` it may not be found: the first in the index is taken, which is as good. */
function atPlace({ entry, filter, take }: EntryClaim): TakeStatement {
  const [find] = entry.zone.finds(undefined);
  const { filter: zoned = {}, sort = {}, hint } = find ?? {};
  return { filter: { $and: [zoned, filter] }, sort, take, ...omitUndefined({ hint }) };
}

async function end(prompts: PromptsCollection, ending: Parameters<typeof endUnclaimed>[1]): Promise<boolean> {
  return endUnclaimed(prompts, ending).catch(() => false);
}

/** Ends one that no claim can help, or passes it over where even that is refused. @throws as `run` */
export async function endEntry(
  prompts: PromptsCollection,
  {
    walk,
    entry,
    filter,
    failure,
    endings,
  }: Pick<EntryClaim, 'walk' | 'entry' | 'filter' | 'endings'> & { readonly failure: FailureRecord },
): Promise<'ended' | 'passed' | 'gone'> {
  const id: unknown = entry.document['_id'];
  const refusal = new Text2ImgError('queue_refused', failure.message);
  try {
    const isEnded =
      canBeSent(id) && (await endUnclaimed(prompts, { filter: { ...byId(id), ...filter }, failure, endings }));
    // Another worker was faster; what is only not to be found under its id is not tried for ever.
    if (!isEnded) return namingOf(id) === 'surely' ? 'gone' : pass(prompts, { walk, entry }, refusal);
    walk.hasTaken = true;
    return 'ended';
  } catch (error) {
    const refused = Text2ImgError.from(error);
    if (refused.code !== 'queue_refused' && refused.code !== 'invalid_document') throw error;
    return pass(prompts, { walk, entry }, refused);
  }
}

/** It must not stand in the others' way. */
function pass(
  prompts: PromptsCollection,
  { walk, entry }: Pick<EntryClaim, 'walk' | 'entry'>,
  error: Text2ImgError,
): 'passed' {
  const id: unknown = entry.document['_id'];
  if (!walk.hasWarned) {
    walk.hasWarned = true;
    prompts.logger.warning('the database refuses to change a prompt; it and others like it are skipped', {
      prompt_id: promptIdText(documentIdOf(id)),
      error,
    });
  }
  walk.refuse(id);
  return 'passed';
}
