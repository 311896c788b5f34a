/** Enqueue: adds documents as pending, all or none. */
import { randomBytes } from 'node:crypto';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { type DocumentId, promptIdText } from '../../job/document-id.ts';
import type { RawPromptDocument } from '../prompt-queue.ts';
import { type Database, NOW_MS } from './database.ts';

const ENQUEUE = `
INSERT INTO prompts (id, id_kind, document, priority, enqueued_ms) VALUES (?1, ?2, ?3, ?4, ${NOW_MS})
ON CONFLICT (id) DO NOTHING`;

export function enqueue(database: Database, documents: readonly RawPromptDocument[]): readonly DocumentId[] {
  return database.transaction(() =>
    documents.map((document) => {
      const { _id: givenId, ...fields } = document;
      const id = givenId === undefined ? newId() : documentIdOf(givenId);
      if (fields['status'] !== undefined && fields['status'] !== 'pending') {
        throw new Text2ImgError(
          'invalid_document',
          `a document with status ${JSON.stringify(fields['status'])} cannot be added; allowed: "pending".`,
        );
      }
      const priority = typeof fields['priority'] === 'number' ? fields['priority'] : 0;
      const added = database.run(ENQUEUE, promptIdText(id), id.kind, JSON.stringify(fields), priority);
      if (added !== 1)
        throw new Text2ImgError(
          'invalid_document',
          `a document with the _id "${promptIdText(id)}" is in the queue already; nothing was added.`,
        );
      return id;
    }),
  );
}

/** In the order of time, like MongoDB's ObjectId. */
function newId(): DocumentId {
  const seconds = Math.floor(Date.now() / 1000)
    .toString(16)
    .padStart(8, '0');
  return { kind: 'object_id', hex: seconds + randomBytes(8).toString('hex') };
}

function documentIdOf(value: unknown): DocumentId {
  if (typeof value === 'string' && value !== '') return { kind: 'string', value };
  if (typeof value === 'number' && Number.isSafeInteger(value)) return { kind: 'integer', decimal: String(value) };
  throw new Text2ImgError(
    'invalid_document',
    `the _id is ${JSON.stringify(value)}; allowed are strings that are not empty and whole numbers.`,
  );
}
