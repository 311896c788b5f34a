/** Enqueue: adds documents as pending, all or none, in one transaction. What can be wrong with them is found before anybody is locked out. */
import { randomBytes } from 'node:crypto';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { type DocumentId, promptIdText } from '../../job/document-id.ts';
import { quote } from '../../lib/foreign-text.ts';
import { alreadyThere, checkAddedDocument, defaultName, NOTHING_ADDED } from '../added-document.ts';
import { numberOf } from '../job-record.ts';
import type { PromptQueue, RawPromptDocument } from '../prompt-queue.ts';
import type { Database } from './database.ts';
import { NOW_MS } from './statements.ts';

const ENQUEUE = `
INSERT INTO prompts (id, id_kind, document, priority, enqueued_ms) VALUES (?1, ?2, ?3, ?4, ${NOW_MS})
ON CONFLICT (id) DO NOTHING`;

interface NewRow {
  readonly id: DocumentId;
  readonly document: string;
  readonly priority: number;
}

export async function enqueue(
  database: Database,
  documents: readonly RawPromptDocument[],
  { nameOf = defaultName }: NonNullable<Parameters<PromptQueue['enqueue']>[1]> = {},
): Promise<readonly DocumentId[]> {
  const rows = documents.map((document, index) => toRow(document, nameOf(index)));
  if (rows.length === 0) return [];
  await database.perform((statements) =>
    statements.transaction(() => {
      for (const [index, { id, document, priority }] of rows.entries()) {
        const added = statements.run(ENQUEUE, promptIdText(id), id.kind, document, priority);
        if (added !== 1) throw alreadyThere(nameOf(index), promptIdText(id));
      }
    }),
  );
  return rows.map(({ id }) => id);
}

function toRow(given: RawPromptDocument, name: string): NewRow {
  const { id = newId(), fields } = checkAddedDocument(given, name);
  if (id.kind === 'foreign')
    throw new Text2ImgError(
      'invalid_document',
      `${name}: "_id" is ${quote(id.value)}; allowed are texts that are not empty and whole numbers. ${NOTHING_ADDED}`,
    );
  return { id, document: JSON.stringify(fields), priority: numberOf(fields['priority']) ?? 0 };
}

/** In the order of time, like MongoDB's ObjectId. */
function newId(): DocumentId {
  const seconds = Math.floor(Date.now() / 1000)
    .toString(16)
    .padStart(8, '0');
  return { kind: 'object_id', hex: seconds + randomBytes(8).toString('hex') };
}
