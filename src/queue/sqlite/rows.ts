/** Rows as the rest knows them: documents, ids, and columns that hold JSON. Any program can write the file, so nothing here throws. */
import type { DocumentId } from '../../job/document-id.ts';
import { isRecord } from '../../lib/foreign-record.ts';
import type { PromptIdentity, RawPromptDocument } from '../prompt-queue.ts';
import { identityOf as identityIn } from '../transitions.ts';
import type { Row } from './statements.ts';

/** Whose claim of which row. */
export interface RowKey {
  /** As it is shown. */
  readonly id: string;
  readonly token: string;
}

/** The value of a column with JSON in it; undefined where it holds none. */
export function jsonOf(value: unknown): unknown {
  if (typeof value !== 'string') return undefined;
  try {
    return JSON.parse(value);
  } catch {
    return undefined;
  }
}

/** The document as the user wrote it; undefined if the text is no JSON object any more. */
export function documentOf(row: Row): RawPromptDocument | undefined {
  const value = jsonOf(row['document']);
  return isRecord(value) ? value : undefined;
}

function idOf(row: Row): DocumentId {
  const text = String(row['id']);
  const kind = row['id_kind'];
  if (kind === 'object_id' && /^[0-9a-f]{24}$/.test(text)) return { kind, hex: text };
  if (kind === 'integer' && /^-?\d{1,16}$/.test(text)) return { kind, decimal: text };
  return { kind: 'string', value: text };
}

/** Which document a row is, as a claim has it. @param path where the queue is: its database is the file */
export function identityOf(path: string, row: Row): PromptIdentity {
  return identityIn({ database: path, collection: 'prompts' }, idOf(row), row['object_name']);
}

/** A column of milliseconds since 1970. */
export function timeOf(value: unknown): Date | undefined {
  return typeof value === 'number' ? new Date(value) : undefined;
}
