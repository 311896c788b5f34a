/**
 * What must hold for the servers' clients when everything is healed and drained.
 *
 * - Every request ends with its images or with a stable error code. A code ends it only where the server says that a repetition is no use.
 * - Under one Idempotency-Key each prompt becomes one document, whichever server was asked or killed; every answer names these documents; each is
 *   completed once.
 * - Without a key, each HTTP request (an attempt) makes one document or takes over one, never both and never two; a first attempt takes over none.
 *   So there are at most as many documents as attempts, and each is completed once. More is not promised: a retry whose predecessor's job cannot be
 *   found any more makes another. How many did is counted (`anew`).
 * - The images in an answer are the bytes that the store has for the document in the end.
 * - A request whose upload broke off makes no document. Only jobs whose client left are cancelled.
 */
import { BSON, type Document } from 'mongodb';
import { ERROR_CODES } from '../../src/errors/error-codes.ts';
import { documentIdOf } from '../../src/queue/mongo/bson-ids.ts';
import { promptIdText } from '../../src/job/document-id.ts';
import { objectKey } from '../../src/storage/object-key.ts';
import { DEFAULT_OBJECT_PREFIX } from '../../src/storage/object-prefix.ts';
import { type Attempt, type ClientRequest, isKeyed, requestNumberOf } from './client-record.ts';
import type { History } from './history.ts';
import { sha256Of } from './openai-client.ts';

export interface ClientEvidence {
  readonly requests: readonly ClientRequest[];
  /** Those of clients, as they are in the end. */
  readonly documents: readonly Document[];
  readonly history: History;
  readonly objectOf: (name: string) => Uint8Array | undefined;
  /** When the collection had another name: documents seemed to be deleted. */
  readonly renames: readonly { readonly fromMs: number; readonly toMs: number }[];
  /** Documents that were there twice for that reason, by the canonical EJSON of the `_id`. */
  readonly carriedOver: ReadonlySet<string>;
}

export interface ClientJudgement {
  readonly violations: readonly string[];
  /** Documents of requests that their client left, by the canonical EJSON of the `_id`. */
  readonly mayBeCancelled: ReadonlySet<string>;
  readonly findings: {
    readonly requests: number;
    readonly attempts: number;
    /** Attempts whose connection broke. */
    readonly broken: number;
    /** Jobs that another attempt took over. */
    readonly takenOver: number;
    /** Documents of requests without a key beyond the first one of each. */
    readonly anew: number;
    /** Requests with a key whose connection broke at one server, and that another one answered. */
    readonly keyedAnsweredElsewhere: number;
    readonly cancelled: number;
    /** Requests by what they ended with. */
    readonly ends: Readonly<Record<string, number>>;
  };
}

/** A document as a request sees it. */
interface Made {
  readonly key: string;
  readonly id: string;
  readonly document: Document;
  /** Every `job.door` that it had. */
  readonly doors: readonly string[];
}

/** A waiting request looks at its job every five seconds. */
const RENAME_SHOWS_MS = 6000;

export function judgeClients(evidence: ClientEvidence): ClientJudgement {
  const { requests, documents, history } = evidence;
  const madeBy = Map.groupBy(
    documents.map((document) => toMade(document, history)),
    ({ document }) => requestNumberOf(document['text']),
  );
  const violations = documents
    .filter(({ text }) => requests[requestNumberOf(text) ?? -1] === undefined)
    .map(({ _id }) => `no client asked for ${keyOf(_id)}`);
  for (const request of requests) {
    const made = madeBy.get(request.number) ?? [];
    const found = [
      ...checkEnd(request, evidence),
      ...checkAttempts(request),
      ...(isKeyed(request) ? checkKeyed(request, made) : checkKeyless(request, made)),
      ...checkCompletedOnce(made, evidence),
      ...checkImages(request, made, evidence),
    ];
    violations.push(...found.map((sentence) => `request ${request.number} (${request.kind}): ${sentence}`));
  }
  return {
    violations,
    mayBeCancelled: new Set(
      requests.filter(mayBeCancelled).flatMap(({ number }) => (madeBy.get(number) ?? []).map(({ key }) => key)),
    ),
    findings: findingsOf(evidence, madeBy),
  };
}

function toMade(document: Document, { doors }: History): Made {
  const key = keyOf(document['_id']);
  return { key, id: promptIdText(documentIdOf(document['_id'])), document, doors: doors.get(key) ?? [] };
}

function keyOf(id: unknown): string {
  return BSON.EJSON.stringify(id, { relaxed: false });
}

function checkEnd(request: ClientRequest, { renames }: ClientEvidence): string[] {
  const { outcome, attempts } = request;
  if (outcome === undefined) return [`it never ended; its attempts: ${JSON.stringify(attempts.slice(-5))}`];
  if (outcome.kind !== 'error') return [];
  const isInRename = attempts.some(({ startedMs, endedMs = startedMs }) =>
    renames.some(({ fromMs, toMs }) => startedMs < toMs + RENAME_SHOWS_MS && endedMs > fromMs),
  );
  if (isInRename && (outcome.code === 'deleted' || outcome.code === 'not_found')) return [];
  return [`it ended with ${outcome.status} ${outcome.code}; its attempts: ${JSON.stringify(attempts.slice(-5))}`];
}

/** Whatever came of it: an answer that is no success names a code of ours, and no bug. */
function checkAttempts({ attempts }: ClientRequest): string[] {
  return attempts
    .filter(({ status = 0, code = '' }) => status >= 400 && (!Object.hasOwn(ERROR_CODES, code) || code === 'internal'))
    .map(({ requestId, status, code }) => `${requestId} was answered with ${status} and the code ${code}`);
}

function checkKeyed({ texts, attempts, outcome }: ClientRequest, made: readonly Made[]): string[] {
  const found: string[] = [];
  const byText = Map.groupBy(made, ({ document }) => String(document['text']));
  for (const [text, same] of byText)
    if (same.length > 1) found.push(`"${text}" became ${same.length} documents under one Idempotency-Key`);
  for (const text of texts)
    if (outcome?.kind === 'images' && !byText.has(text)) found.push(`"${text}" was answered and is not there`);
  const ids = texts.map((text) => byText.get(text)?.[0]?.id).join();
  for (const answer of attempts)
    if (answer.ids !== undefined && answer.ids.join() !== ids)
      found.push(`${answer.requestId} was answered with ${answer.ids.join()}, the documents are ${ids}`);
  return found;
}

function checkKeyless({ kind, attempts }: ClientRequest, made: readonly Made[]): string[] {
  const found: string[] = [];
  if (kind === 'brokenUpload' && made.length > 0) found.push('a part of an upload became a document');
  const firstAttempts = new Set(attempts.filter(({ retryCount }) => retryCount === 0).map((one) => one.requestId));
  const known = new Set(attempts.map(({ requestId }) => requestId));
  const heldBy = new Map<string, Set<string>>();
  for (const { key, doors } of made)
    for (const [place, door] of doors.entries()) {
      if (!known.has(door)) found.push(`${key} belongs to ${door}, which is no attempt of this request`);
      if (place > 0 && firstAttempts.has(door) && doors[0] !== door)
        found.push(`${door}, a first attempt, took ${key} over`);
      heldBy.set(door, (heldBy.get(door) ?? new Set()).add(key));
    }
  for (const [door, keys] of heldBy)
    if (keys.size > 1)
      found.push(`the attempt ${door} made or took over ${keys.size} documents: ${[...keys].join(', ')}`);
  const ids = new Set(made.map(({ id }) => id));
  for (const { requestId, ids: answered = [] } of attempts)
    for (const id of answered) if (!ids.has(id)) found.push(`${requestId} was answered with ${id}, which is not there`);
  return found;
}

function checkCompletedOnce(made: readonly Made[], { history, carriedOver }: ClientEvidence): string[] {
  return made
    .filter(({ key }) => !carriedOver.has(key))
    .map(({ key }) => ({ key, times: history.completions.filter((completion) => completion.key === key).length }))
    .filter(({ times }) => times > 1)
    .map(({ key, times }) => `${key} was completed ${times} times`);
}

function checkImages({ outcome }: ClientRequest, made: readonly Made[], { objectOf }: ClientEvidence): string[] {
  if (outcome?.kind !== 'images') return [];
  if (outcome.images.length === 0) return ['it was answered without an image'];
  return outcome.images.flatMap(({ id, index, sha256 }) => {
    const document = made.find((one) => one.id === id)?.document;
    if (document?.['status'] !== 'completed') return [`it got an image of ${id}, which is ${document?.['status']}`];
    const name = objectKey(documentIdOf(document['_id']), { prefix: DEFAULT_OBJECT_PREFIX, imageIndex: index });
    const stored = objectOf(name);
    return stored !== undefined && sha256Of(stored) === sha256 ? [] : [`it got other bytes than those of ${name}`];
  });
}

/** One of its attempts broke off, and no other came for fifteen seconds. */
function mayBeCancelled(request: ClientRequest): boolean {
  return !isKeyed(request) && request.attempts.some(({ status }) => status === undefined);
}

function findingsOf(
  { requests }: ClientEvidence,
  madeBy: ReadonlyMap<number | undefined, readonly Made[]>,
): ClientJudgement['findings'] {
  const ends: Record<string, number> = {};
  for (const { outcome } of requests) {
    const end = outcome?.kind === 'error' ? `${outcome.status} ${outcome.code}` : (outcome?.kind ?? 'nothing');
    ends[end] = (ends[end] ?? 0) + 1;
  }
  const attempts = requests.flatMap((request) => request.attempts);
  const keyless = requests.filter((request) => !isKeyed(request));
  const made = keyless.map(({ number }) => madeBy.get(number) ?? []);
  const isBroken = ({ status }: Attempt): boolean => status === undefined;
  return {
    requests: requests.length,
    attempts: attempts.length,
    broken: attempts.filter(isBroken).length,
    takenOver: made.flat().filter(({ doors }) => doors.length > 1).length,
    anew: made.reduce((sum, { length }) => sum + Math.max(0, length - 1), 0),
    keyedAnsweredElsewhere: requests.filter(isKeyed).filter(isAnsweredElsewhere).length,
    cancelled: made.flat().filter(({ document }) => String(document['error']).startsWith('cancelled: ')).length,
    ends,
  };
}

function isAnsweredElsewhere({ attempts }: ClientRequest): boolean {
  const broken = new Set(attempts.filter(({ status }) => status === undefined).map(({ server }) => server));
  return attempts.some(({ ids, server }) => ids !== undefined && broken.size > 0 && !broken.has(server));
}
