/** What really happened to each document, read from the replica set's oplog: no observer can miss an entry there. */
import { BSON, type Document, type MongoClient } from 'mongodb';

export interface Completion {
  /** Canonical EJSON of the `_id`. */
  readonly key: string;
  readonly runId: string;
}

export interface History {
  /** Every transition from `processing` to `completed`, in order. */
  readonly completions: readonly Completion[];
  /** By the canonical EJSON of the `_id`: every `job.door` that the document had, the one of its insertion first. */
  readonly doors: ReadonlyMap<string, readonly string[]>;
  /** By the same: when it was completed or ended in an error, by the primary's clock, in milliseconds since 1970. Absent: it is open. */
  readonly endedMs: ReadonlyMap<string, number>;
}

interface State {
  status: unknown;
  runId: unknown;
  door: unknown;
}

const NOTHING: State = { status: undefined, runId: undefined, door: undefined };

export async function readHistory(client: MongoClient, namespace: string): Promise<History> {
  const states = new Map<string, State>();
  const completions: Completion[] = [];
  const doors = new Map<string, string[]>();
  const endedMs = new Map<string, number>();
  const entries = client
    .db('local')
    .collection('oplog.rs')
    .find({ $or: [{ ns: namespace }, { op: 'c', 'o.applyOps.ns': namespace }] }, { sort: { $natural: 1 } });
  for await (const entry of entries) {
    const operations: Document[] =
      entry['op'] === 'c' ? entry['o'].applyOps.filter(({ ns }: Document) => ns === namespace) : [entry];
    for (const operation of operations) {
      const key = BSON.EJSON.stringify((operation['o2'] ?? operation['o'])._id, { relaxed: false });
      if (operation['op'] === 'd') {
        states.delete(key);
        continue;
      }
      const before = states.get(key);
      const after = apply(before ?? NOTHING, operation);
      states.set(key, after);
      const isEnded = after.status === 'completed' || after.status === 'error';
      if (!isEnded) endedMs.delete(key);
      else if (before?.status !== after.status) endedMs.set(key, (entry['wall'] as Date).getTime());
      if (before?.status === 'processing' && after.status === 'completed')
        completions.push({ key, runId: String(after.runId) });
      if (typeof after.door === 'string' && after.door !== before?.door)
        doors.set(key, [...(doors.get(key) ?? []), after.door]);
    }
  }
  return { completions, doors, endedMs };
}

/** An insert or a replacement carries the document; an update carries a difference of version 2: `u`pdated, `i`nserted, `s`ub-documents. */
function apply(before: State, { op, o }: Document): State {
  if (op === 'i' || o['diff'] === undefined)
    return { status: o['status'], runId: o['job']?.run_id, door: o['job']?.door };
  const { diff } = o;
  const status = diff.u?.status ?? diff.i?.status ?? before.status;
  const job = diff.u?.job ?? diff.i?.job;
  if (job !== undefined) return { status, runId: job.run_id, door: job.door };
  const inner = diff.sjob;
  const changed = (name: string, old: unknown): unknown => inner?.u?.[name] ?? inner?.i?.[name] ?? old;
  return { status, runId: changed('run_id', before.runId), door: changed('door', before.door) };
}
