/** What really happened to each document, read from the replica set's oplog: no observer can miss an entry there. */
import { BSON, type Document, type MongoClient } from 'mongodb';

export interface Completion {
  /** Canonical EJSON of the `_id`. */
  readonly key: string;
  readonly runId: string;
}

interface State {
  status: unknown;
  runId: unknown;
}

/** Every transition from `processing` to `completed`, in order. */
export async function readCompletions(client: MongoClient, namespace: string): Promise<readonly Completion[]> {
  const states = new Map<string, State>();
  const completions: Completion[] = [];
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
      const after = apply(before ?? { status: undefined, runId: undefined }, operation);
      states.set(key, after);
      if (before?.status === 'processing' && after.status === 'completed')
        completions.push({ key, runId: String(after.runId) });
    }
  }
  return completions;
}

/** An insert or a replacement carries the document; an update carries a difference of version 2: `u`pdated, `i`nserted, `s`ub-documents. */
function apply(before: State, { op, o }: Document): State {
  if (op === 'i' || o['diff'] === undefined) return { status: o['status'], runId: o['job']?.run_id };
  const { diff } = o;
  const status = diff.u?.status ?? diff.i?.status ?? before.status;
  const job = diff.u?.job ?? diff.i?.job;
  const inner = diff.sjob;
  const runId = job === undefined ? (inner?.u?.run_id ?? inner?.i?.run_id ?? before.runId) : job.run_id;
  return { status, runId };
}
