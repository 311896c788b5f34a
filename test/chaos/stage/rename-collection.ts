/** Gives the collection another name for a while, as an operator by mistake. What servers add under the old name meanwhile he carries over. */
import { BSON, type Db, type Document } from 'mongodb';
import { setTimeout as sleep } from 'node:timers/promises';
import { COLLECTION } from '../settings.ts';

const ELSEWHERE = `${COLLECTION}_elsewhere`;
const NAMESPACE_NOT_FOUND = 26;
const NAMESPACE_EXISTS = 48;
const DUPLICATE_KEY = 11000;

/** @returns the canonical EJSON of the `_id`s of what was carried over */
export async function renameForAWhile(database: Db, ms: number): Promise<readonly string[]> {
  // An attempt whose answer is lost may have done it.
  await database
    .collection(COLLECTION)
    .rename(ELSEWHERE)
    .catch(() => undefined);
  await sleep(ms);
  const between: string[] = [];
  while (!(await isBack(database, between))) await sleep(200);
  const carried: string[] = [];
  for (const name of between) carried.push(...(await carryOver(database, name)));
  return carried;
}

/** @param between grows by the name of what lies in the way, and has made room */
async function isBack(database: Db, between: string[]): Promise<boolean> {
  try {
    await database.collection(ELSEWHERE).rename(COLLECTION);
    return true;
  } catch (error) {
    const { code } = error as { code?: unknown };
    // Done by an attempt whose answer was lost.
    if (code === NAMESPACE_NOT_FOUND) return true;
    if (code !== NAMESPACE_EXISTS) return false;
  }
  const name = `${COLLECTION}_between_${between.length}`;
  between.push(name);
  await database
    .collection(COLLECTION)
    .rename(name)
    .catch(() => undefined);
  return false;
}

async function carryOver(database: Db, name: string): Promise<readonly string[]> {
  const carried = new Set<string>();
  for (;;) {
    try {
      const documents = await database.collection(name).find<Document>({}, { promoteValues: false }).toArray();
      for (const document of documents) carried.add(BSON.EJSON.stringify(document['_id'], { relaxed: false }));
      for (const document of documents) await insert(database, document);
      await database.collection(name).drop();
      return [...carried];
    } catch {
      await sleep(200);
    }
  }
}

async function insert(database: Db, document: Document): Promise<void> {
  await database
    .collection(COLLECTION)
    .insertOne(document as never)
    .catch((error: { code?: unknown }) => {
      // There already: a server has added it again, or an attempt of ours has.
      if (error.code !== DUPLICATE_KEY) throw error;
    });
}
