/** Enqueue: adds documents as pending, all or none, in one transaction. The documents are checked before the transaction locks the file. */
import { randomBytes } from 'node:crypto';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { type DocumentId, promptIdText } from '../../job/document-id.ts';
import { quote } from '../../lib/foreign-text.ts';
import { alreadyThere, checkAddedDocuments, type NamedDocument, NOTHING_ADDED } from '../added-document.ts';
import { numberOf } from '../job-record.ts';
import type { EnqueueOptions, RawPromptDocument } from '../prompt-queue.ts';
import type { Database } from './database.ts';
import { NOW_MS } from './statements.ts';

const ENQUEUE = `
INSERT INTO prompts (id, id_kind, document, priority, enqueued_ms, model, tenant, door, enqueue_id, cancel_at_ms)
VALUES (?1, ?2, ?3, ?4, ${NOW_MS}, ?5, ?6, ?7, ?8, ${NOW_MS} + ?9)
ON CONFLICT (id) DO NOTHING`;
const ADDED_BY = `SELECT 1 FROM prompts WHERE id = ?1 AND enqueue_id = ?2`;

interface NewRow {
  readonly id: DocumentId;
  readonly name: string;
  readonly document: string;
  readonly priority: number;
}

export async function enqueue(
  database: Database,
  documents: readonly RawPromptDocument[],
  options: EnqueueOptions = {},
): Promise<readonly DocumentId[]> {
  const { labels: { model, tenant = null, door = null } = {}, enqueueId = null, modelOf = () => model } = options;
  const cancelAfterMs = options.cancelAfterMs === undefined ? null : Math.round(options.cancelAfterMs);
  const rows = checkAddedDocuments(documents, options).map(toRow);
  if (rows.length === 0) return [];
  await database.perform((statements) =>
    statements.transaction(() => {
      for (const [index, { id, name, document, priority }] of rows.entries()) {
        const text = promptIdText(id);
        const labels = [modelOf(index) ?? null, tenant, door] as const;
        const added = statements.run(ENQUEUE, text, id.kind, document, priority, ...labels, enqueueId, cancelAfterMs);
        const isOurs = added === 1 || (enqueueId !== null && statements.get(ADDED_BY, text, enqueueId) !== undefined);
        if (!isOurs) throw alreadyThere(name, text);
      }
    }),
  );
  return rows.map(({ id }) => id);
}

function toRow({ id = newId(), fields, name }: NamedDocument): NewRow {
  if (id.kind === 'foreign')
    throw new Text2ImgError(
      'invalid_document',
      `${name}: "_id" is ${quote(id.value)}; allowed are texts that are not empty and whole numbers. ${NOTHING_ADDED}`,
    );
  return { id, name, document: JSON.stringify(fields), priority: numberOf(fields['priority']) ?? 0 };
}

/** In the order of time, like MongoDB's ObjectId. */
function newId(): DocumentId {
  const seconds = Math.floor(Date.now() / 1000)
    .toString(16)
    .padStart(8, '0');
  return { kind: 'object_id', hex: seconds + randomBytes(8).toString('hex') };
}
