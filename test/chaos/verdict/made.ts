/** The documents of a client's request, with what happened to them. */
import { BSON, type Document } from 'mongodb';
import { promptIdText } from '../../../src/job/document-id.ts';
import { documentIdOf } from '../../../src/queue/mongo/bson-ids.ts';
import { type Attempt, type ClientRequest, isBroken, isKeyed } from '../clients/client-record.ts';
import type { History } from './history.ts';

export interface Made {
  /** Canonical EJSON of the `_id`. */
  readonly key: string;
  readonly id: string;
  readonly document: Document;
  /** Every `job.door` that it had. */
  readonly doors: readonly string[];
  /** Since 1970. Undefined: it is open. */
  readonly endedMs: number | undefined;
}

export function toMade(document: Document, { doors, endedMs }: History): Made {
  const key = keyOf(document['_id']);
  return {
    key,
    id: promptIdText(documentIdOf(document['_id'])),
    document,
    doors: doors.get(key) ?? [],
    endedMs: endedMs.get(key),
  };
}

export function keyOf(id: unknown): string {
  return BSON.EJSON.stringify(id, { relaxed: false });
}

export function isCancelled({ document }: Made): boolean {
  return String(document['error']).startsWith('cancelled: ');
}

/** One of its attempts broke off, and none took its job over within fifteen seconds; or it asked for an end after a time. */
export function mayBeCancelled(request: ClientRequest): boolean {
  return request.kind === 'cancelAfter' || (!isKeyed(request) && request.attempts.some(isBroken));
}

/** That made the document. */
export function attemptOf({ doors: [door] }: Made, { attempts }: ClientRequest): Attempt | undefined {
  return attempts.find(({ requestId }) => requestId === door);
}
