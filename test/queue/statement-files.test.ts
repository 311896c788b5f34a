/** Where the queues write: in the files of their statements, and nowhere else. */
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';

const folder = fileURLToPath(new URL('../../src/queue', import.meta.url));

const WRITES = {
  mongo:
    /(?<![#\w])collection\s*\.(?:updateOne|updateMany|deleteMany|deleteOne|insertMany|insertOne|findOneAndUpdate)\(/g,
  sqlite: /\b(?:UPDATE (?:prompts|webhooks)|INSERT INTO|DELETE FROM)\b/g,
} as const;

/** A file beside the class, and how many writes it holds; none of another number than 1 without its reason. */
const SEVERAL: Readonly<Record<string, string>> = {
  'mongo/end-overdue.ts': 'a job that an older version has ended only loses its time',
  'mongo/take-back.ts': 'who may not remove cancels instead',
  'mongo/take-one.ts': 'what was taken without being heard of is given back',
  'sqlite/claim.ts': 'leases that ended, and pending documents, in one transaction',
  'sqlite/record-delivery.ts': 'one for each outcome, and what is too old goes',
  'sqlite/remove.ts': 'the document, and the webhooks that it owes',
};

for (const kind of ['mongo', 'sqlite'] as const) {
  test(`each statement of the ${kind} queue that writes has a file of its own`, async () => {
    const writing: string[] = [];
    const files = (await readdir(join(folder, kind))).filter((file) => file.endsWith('.ts'));
    for (const file of files) {
      const writes = (await readFile(join(folder, kind, file), 'utf8')).match(WRITES[kind])?.length ?? 0;
      const name = `${kind}/${file}`;
      if (writes > 0) writing.push(file);
      assert.ok(
        writes <= 1 || SEVERAL[name] !== undefined,
        `${name} has ${writes} writes: give each a file of its own, or name the reason in SEVERAL`,
      );
      assert.ok(
        writes !== 1 || SEVERAL[name] === undefined,
        `take ${name} out of SEVERAL: it needs no exception any more`,
      );
    }
    const verbs = [
      'adopt',
      'cancel',
      'complete',
      'end-overdue',
      'enqueue',
      'fail',
      'name-object',
      'record-delivery',
      'redrive',
      'release',
    ];
    for (const verb of [
      ...verbs,
      'renew',
      'retry',
      'retry-later',
      'return-attempts',
      'close-without-url',
      'claim-webhooks',
      'retry-all',
      'due-now',
      'remove',
    ])
      assert.ok(
        writing.includes(`${verb}.ts`),
        `src/queue/${kind}/${verb}.ts should write; if the verb has gone, take it out of this list`,
      );
    for (const file of [`${kind}-prompt-queue.ts`, 'outbox.ts', 'list.ts', 'list-webhooks.ts'])
      assert.ok(
        !writing.includes(file),
        `src/queue/${kind}/${file} only reads or calls: move the write into a file of its own`,
      );
  });
}
