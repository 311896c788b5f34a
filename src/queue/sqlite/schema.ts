/**
 * The tables of the embedded queue, and whether a file is one. Tables, columns and indexes are only added. The schema's version stays 2, because
 * program version 0.1.0 refuses a higher one: nobody could go back after an upgrade.
 */
import type { DatabaseSync } from 'node:sqlite';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { quote } from '../../lib/foreign-text.ts';
import { OPEN_STATUSES } from '../transitions.ts';
import { oneOf } from './expressions.ts';

const SCHEMA_VERSION = 2;

const PROMPTS = `
CREATE TABLE prompts (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  id_kind TEXT NOT NULL,
  -- what the user wrote, as he wrote it
  document TEXT NOT NULL,
  priority REAL NOT NULL DEFAULT 0,
  status TEXT NOT NULL DEFAULT 'pending',
  enqueued_ms INTEGER NOT NULL,
  -- who owns the claim, and until when
  token TEXT,
  owner TEXT,
  lease_until_ms INTEGER,
  -- which run of the prompt this is, and its attempts
  run_id TEXT,
  attempts INTEGER NOT NULL DEFAULT 0,
  resume INTEGER NOT NULL DEFAULT 0,
  -- 1: given a time for its next attempt by retry-later, so its lease did not run out under a dead worker
  awaits_retry INTEGER NOT NULL DEFAULT 0,
  -- 1: the attempt before this one crashed
  previous_died INTEGER NOT NULL DEFAULT 0,
  progress_step INTEGER,
  progress_steps INTEGER,
  -- how it ended
  finished_ms INTEGER,
  image_urls TEXT,
  seed INTEGER,
  parameters TEXT,
  warnings TEXT,
  error TEXT
) STRICT;
CREATE INDEX prompts_pending ON prompts (priority DESC, seq) WHERE status = 'pending';
CREATE INDEX prompts_processing ON prompts (lease_until_ms) WHERE status = 'processing';
`;

/** Since version 2: the webhooks of ended jobs. */
const WEBHOOKS = `
CREATE TABLE webhooks (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  prompt_id TEXT NOT NULL,
  -- the exact bytes to be sent
  body TEXT NOT NULL,
  -- the document's own; NULL: the operator's
  url TEXT,
  state TEXT NOT NULL DEFAULT 'pending',
  attempts INTEGER NOT NULL DEFAULT 0,
  due_ms INTEGER NOT NULL,
  -- who is trying
  token TEXT,
  error TEXT,
  delivered_ms INTEGER
) STRICT;
CREATE INDEX webhooks_pending ON webhooks (due_ms) WHERE state = 'pending';
`;

/** Of the first versions of both tables; a table without one of them is another program's. */
const COLUMNS = { prompts: columnsIn(PROMPTS), webhooks: columnsIn(WEBHOOKS) } as const;

/** Columns of `prompts` that came later. */
const LATER_COLUMNS = [
  // the error of the previous attempt
  { name: 'last_error', type: 'TEXT' },
  // the name of its images, where it is not the plain one
  { name: 'object_name', type: 'TEXT' },
  // the worker that claimed it last, and when; they stay when it ends
  { name: 'worker', type: 'TEXT' },
  { name: 'leased_ms', type: 'INTEGER' },
  // the labels of a server, and the call that added it
  { name: 'model', type: 'TEXT' },
  { name: 'tenant', type: 'TEXT' },
  { name: 'door', type: 'TEXT' },
  { name: 'enqueue_id', type: 'TEXT' },
  // a job that has not ended by then is cancelled
  { name: 'cancel_at_ms', type: 'INTEGER' },
] as const;

/** Looks that would otherwise read every finished prompt or delivered webhook. */
const LATER_INDEXES = {
  webhooks_prompt: 'webhooks (prompt_id)',
  webhooks_dead: "webhooks (seq) WHERE state = 'dead'",
  prompts_deadlines: `prompts (cancel_at_ms) WHERE cancel_at_ms IS NOT NULL AND status IN ${oneOf(OPEN_STATUSES)}`,
  prompts_pending_models: "prompts (model, priority DESC, seq) WHERE status = 'pending'",
  prompts_pending_turns: "prompts (model, tenant, priority DESC, seq) WHERE status = 'pending'",
  prompts_pending_oldest: "prompts (enqueued_ms) WHERE status = 'pending'",
  prompts_tenant: 'prompts (tenant, seq) WHERE tenant IS NOT NULL',
  prompts_tenant_status: 'prompts (tenant, status) WHERE tenant IS NOT NULL',
} as const;

/** The data that servers and workers exchange; see `side-data.ts`. */
const SIDE_TABLES = {
  text2img_requests: '',
  text2img_previews: ', png BLOB NOT NULL',
  text2img_watch: '',
  text2img_workers: '',
} as const;

const LATER = [
  ...Object.entries(LATER_INDEXES).map(([name, on]) => `CREATE INDEX IF NOT EXISTS ${name} ON ${on};`),
  ...Object.entries(SIDE_TABLES).map(
    ([name, more]) =>
      `CREATE TABLE IF NOT EXISTS ${name} (id TEXT PRIMARY KEY, value TEXT NOT NULL, until_ms INTEGER${more}) STRICT;`,
  ),
].join('\n');

interface SchemaState {
  readonly version: number;
  readonly tables: readonly string[];
  readonly missingColumns: readonly { readonly name: string; readonly type: string }[];
  readonly hasAll: boolean;
}

/**
 * Makes what is missing. A file of another program is left as it is.
 * @throws `queue_damaged` for a file that is not a queue of a version that this program knows
 */
export function prepareSchema(db: DatabaseSync, path: string): void {
  checkIsQueue(db, path);
  // WAL: readers do not wait for the writer. FULL: a committed write stays on the disk even if the power fails.
  db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;');
  if (isComplete(readState(db))) return;
  db.exec('BEGIN IMMEDIATE');
  try {
    // Again, under the lock: another process may have made it meanwhile.
    const state = checkIsQueue(db, path);
    if (state.version < 1) db.exec(PROMPTS);
    if (state.version < 2) db.exec(WEBHOOKS);
    const { missingColumns } = readState(db);
    for (const { name, type } of missingColumns) db.exec(`ALTER TABLE prompts ADD COLUMN ${name} ${type}`);
    db.exec(LATER);
    db.exec(`PRAGMA user_version = ${SCHEMA_VERSION}`);
    db.exec('COMMIT');
  } catch (error) {
    if (db.isTransaction) db.exec('ROLLBACK');
    throw error;
  }
}

function isComplete({ version, missingColumns, hasAll }: SchemaState): boolean {
  return version === SCHEMA_VERSION && missingColumns.length === 0 && hasAll;
}

function readState(db: DatabaseSync): SchemaState {
  const version = Number(db.prepare('PRAGMA user_version').get()?.['user_version']);
  const named = (type: string): string[] =>
    db
      .prepare("SELECT name FROM sqlite_master WHERE type = ? AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'")
      .all(type)
      .map(({ name }) => String(name));
  const [tables, indexes] = [named('table'), named('index')];
  const columns = columnsOf(db, 'prompts');
  return {
    version,
    tables,
    missingColumns: LATER_COLUMNS.filter(({ name }) => !columns.has(name)),
    hasAll:
      Object.keys(LATER_INDEXES).every((name) => indexes.includes(name)) &&
      Object.keys(SIDE_TABLES).every((name) => tables.includes(name)),
  };
}

function checkIsQueue(db: DatabaseSync, path: string): SchemaState {
  const state = readState(db);
  const { version, tables } = state;
  const name = quote(path, 300);
  if (version > SCHEMA_VERSION)
    throw new Text2ImgError(
      'queue_damaged',
      `the queue ${name} has version ${version}, but this program knows versions up to ${SCHEMA_VERSION}; use a newer text2img.`,
    );
  if (version <= 0 && tables.length > 0)
    throw new Text2ImgError(
      'queue_damaged',
      `${name} is a SQLite database of another program, with the tables ${quote(tables)}; name another --data-dir.`,
    );
  const wanted = version === 1 ? (['prompts'] as const) : version === 2 ? (['prompts', 'webhooks'] as const) : [];
  for (const table of wanted) {
    const columns = columnsOf(db, table);
    const missing = COLUMNS[table].filter((column) => !columns.has(column));
    if (missing.length === 0) continue;
    const what =
      columns.size === 0 ? `the table ${table} is missing` : `the table ${table} has no column ${missing[0]}`;
    throw new Text2ImgError(
      'queue_damaged',
      `${name} is damaged or belongs to another program: ${what}; name another --data-dir.`,
    );
  }
  return state;
}

function columnsOf(db: DatabaseSync, table: keyof typeof COLUMNS): ReadonlySet<string> {
  return new Set(
    db
      .prepare(`PRAGMA table_info(${table})`)
      .all()
      .map(({ name }) => String(name)),
  );
}

/** The names of the columns in one of our CREATE TABLE statements. Each stands in a line of its own, with its type. */
function columnsIn(sql: string): readonly string[] {
  return Array.from(sql.matchAll(/^ {2}([a-z_]+) (?:INTEGER|TEXT|REAL)/gm), ([, name]) => String(name));
}
