/** Which document an operator means: by what he was shown, which two may share (7 and "7"), or by canonical EJSON. */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { canonicalEjsonOf, promptIdText } from '../../job/document-id.ts';
import { quote } from '../../lib/foreign-text.ts';
import { documentIdOf, idsOfText, rangesOfPrefix } from './bson-ids.ts';
import type { PromptsCollection } from './prompts-collection.ts';
import type { PromptFilter } from './statement-types.ts';

/** In the order of the database's types. Ids whose form we do not know are left out. */
export async function idsWithPrefix(
  prompts: PromptsCollection,
  prefix: string,
  limit: number,
): Promise<readonly string[]> {
  const filter: PromptFilter = { $or: rangesOfPrefix(prefix).map((range) => ({ _id: range })) };
  const options = { projection: { _id: 1 }, sort: { _id: 1 }, limit } as const;
  const found = await prompts.run(() => prompts.collection.find(filter, options).toArray());
  // A collection's collation may find others too.
  return found.map(({ _id }) => promptIdText(documentIdOf(_id))).filter((id) => id.startsWith(prefix));
}

/** @returns the `_id`, or undefined where there is no such document @throws `ambiguous_id` */
export async function findId(prompts: PromptsCollection, text: string): Promise<{ readonly id: unknown } | undefined> {
  const filter: PromptFilter = { _id: { $in: idsOfText(text) } };
  const found = await prompts.run(() =>
    prompts.collection.find(filter, { projection: { _id: 1 }, limit: 2 }).toArray(),
  );
  const [first, second] = found.map(({ _id }) => ({ id: _id }));
  if (first === undefined || second === undefined) return first;
  const names = [first, second].map(({ id }) => canonicalEjsonOf(documentIdOf(id)));
  throw new Text2ImgError(
    'ambiguous_id',
    `Two documents are called ${quote(text)}: ${names.join(' and ')}. Name one of them in this form.`,
  );
}
