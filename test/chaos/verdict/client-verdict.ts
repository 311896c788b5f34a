/** What must hold for the servers' clients when everything is healed and drained. `invariants.ts` has the sentences. */
import type { Document } from 'mongodb';
import { ERROR_CODES } from '../../../src/errors/error-codes.ts';
import { documentIdOf } from '../../../src/queue/mongo/bson-ids.ts';
import { objectKey } from '../../../src/storage/object-key.ts';
import { DEFAULT_OBJECT_PREFIX } from '../../../src/storage/object-prefix.ts';
import { type ClientRequest, isKeyed, requestNumberOf } from '../clients/client-record.ts';
import { sha256Of } from '../clients/send.ts';
import { type Violation, violation } from '../invariants.ts';
import type { History } from './history.ts';
import { attemptOf, keyOf, type Made, mayBeCancelled, toMade } from './made.ts';

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
  readonly violations: readonly Violation[];
  /** By the number of the request. */
  readonly madeBy: ReadonlyMap<number | undefined, readonly Made[]>;
  /** Documents of requests that their client left, by the canonical EJSON of the `_id`. */
  readonly mayBeCancelled: ReadonlySet<string>;
}

/** A waiting request looks at its job every five seconds. */
const RENAME_SHOWS_MS = 6000;
/** The web UI's API answers a fault of the request with a sentence alone, as the web UI does. */
const WITHOUT_CODES: ReadonlySet<string> = new Set(['webUi', 'webUiLeaver']);
const SERVER_FAULT = 500;
/** The job was added. While the collection has another name it seems to be gone. */
const GONE: ReadonlySet<number> = new Set([404, 410]);

export function judgeClients(evidence: ClientEvidence): ClientJudgement {
  const { requests, documents, history } = evidence;
  const madeBy = Map.groupBy(
    documents.map((document) => toMade(document, history)),
    ({ document }) => requestNumberOf(document['text']),
  );
  const violations = documents
    .filter(({ text }) => requests[requestNumberOf(text) ?? -1] === undefined)
    .map(({ _id }) => violation('nobodyIsUnknown', `no client asked for ${keyOf(_id)}`));
  for (const request of requests) {
    const made = madeBy.get(request.number) ?? [];
    const found = [
      ...checkEnd(request, evidence),
      ...checkAnswers(request),
      ...(isKeyed(request) ? checkKeyed(request, made) : checkKeyless(request, made)),
      ...checkRefused(request, made),
      ...checkLabels(request, made),
      ...checkCompletedOnce(made, evidence),
      ...checkImages(request, made, evidence),
    ];
    violations.push(
      ...found.map(({ invariant, found: what }) =>
        violation(invariant, `request ${request.number} (${request.kind}): ${what}`),
      ),
    );
  }
  const keys = requests.filter(mayBeCancelled).flatMap(({ number }) => madeBy.get(number) ?? []);
  return { violations, madeBy, mayBeCancelled: new Set(keys.map(({ key }) => key)) };
}

function checkEnd(request: ClientRequest, { renames }: ClientEvidence): Violation[] {
  const { outcome, attempts } = request;
  const last = JSON.stringify(attempts.slice(-5));
  if (outcome === undefined) return [violation('requestsEnd', `it never ended; its attempts: ${last}`)];
  if (outcome.kind !== 'error') return [];
  const isInRename = attempts.some(({ startedMs, endedMs = startedMs }) =>
    renames.some(({ fromMs, toMs }) => startedMs < toMs + RENAME_SHOWS_MS && endedMs > fromMs),
  );
  if (isInRename && GONE.has(outcome.status)) return [];
  return [violation('requestsEnd', `it ended with ${outcome.status} ${outcome.code}; its attempts: ${last}`)];
}

/** Whatever came of it: an answer that is no success names a code of ours, and no bug. A stream says how it ended. */
function checkAnswers({ kind, attempts }: ClientRequest): Violation[] {
  const found: Violation[] = [];
  for (const { requestId, status = 0, code, problem, stream } of attempts) {
    const needsCode = status >= SERVER_FAULT || (status >= 400 && !WITHOUT_CODES.has(kind)) || stream?.last === 'error';
    const isKnown = code === undefined ? !needsCode : Object.hasOwn(ERROR_CODES, code) && code !== 'internal';
    if (!isKnown)
      found.push(
        violation('codesAreStable', `${requestId} was answered with ${status} and the code ${code}: ${problem}`),
      );
    if (stream === undefined) continue;
    if (stream.last === 'nothing')
      found.push(violation('streamsSayTheirEnd', `${requestId} ended without a last event`));
    if (stream.partials.some((index, place) => index !== place))
      found.push(violation('streamsSayTheirEnd', `${requestId} had the partial images ${stream.partials.join()}`));
  }
  return found;
}

function checkKeyed({ texts, attempts, outcome }: ClientRequest, made: readonly Made[]): Violation[] {
  const wrong = (found: string): Violation => violation('oneKeyOneDocument', found);
  const found: Violation[] = [];
  const byText = Map.groupBy(made, ({ document }) => String(document['text']));
  for (const [text, same] of byText)
    if (same.length > 1) found.push(wrong(`"${text}" became ${same.length} documents under one Idempotency-Key`));
  for (const text of texts)
    if (outcome?.kind === 'images' && !byText.has(text)) found.push(wrong(`"${text}" was answered and is not there`));
  const ids = texts.map((text) => byText.get(text)?.[0]?.id).join();
  for (const answer of attempts)
    if (answer.ids !== undefined && answer.ids.join() !== ids)
      found.push(wrong(`${answer.requestId} was answered with ${answer.ids.join()}, the documents are ${ids}`));
  return found;
}

function checkKeyless({ texts, attempts }: ClientRequest, made: readonly Made[]): Violation[] {
  const wrong = (found: string): Violation => violation('attemptsAddOnce', found);
  const found: Violation[] = [];
  const firstAttempts = new Set(attempts.filter(({ retryCount }) => retryCount === 0).map((one) => one.requestId));
  const known = new Set(attempts.map(({ requestId }) => requestId));
  const heldBy = new Map<string, Set<string>>();
  for (const { key, doors } of made)
    for (const [place, door] of doors.entries()) {
      if (!known.has(door)) found.push(wrong(`${key} belongs to ${door}, which is no attempt of this request`));
      if (place > 0 && firstAttempts.has(door) && doors[0] !== door)
        found.push(wrong(`${door}, a first attempt, took ${key} over`));
      heldBy.set(door, (heldBy.get(door) ?? new Set()).add(key));
    }
  for (const [door, keys] of heldBy)
    if (keys.size > texts.length)
      found.push(wrong(`the attempt ${door} made or took over ${keys.size} documents: ${[...keys].join(', ')}`));
  const ids = new Set(made.map(({ id }) => id));
  for (const { requestId, ids: answered = [] } of attempts)
    for (const id of answered)
      if (!ids.has(id)) found.push(wrong(`${requestId} was answered with ${id}, which is not there`));
  return found;
}

function checkRefused(request: ClientRequest, made: readonly Made[]): Violation[] {
  const { kind, attempts } = request;
  const found = attempts
    .filter(
      ({ status = 0, mustBe }) => mustBe !== undefined && status !== mustBe && status !== 0 && status < SERVER_FAULT,
    )
    .map(({ requestId, status, mustBe }) =>
      violation('keysSeeTheirOwn', `${requestId} was answered with ${status} and not with ${mustBe}`),
    );
  if (kind === 'brokenUpload' && made.length > 0)
    found.push(violation('refusedAddNothing', 'a part of an upload became a document'));
  if (kind === 'stranger' && made.length > 0)
    found.push(violation('refusedAddNothing', 'a request under a wrong key became a document'));
  for (const one of made) {
    const { requestId, status = 0, code } = attemptOf(one, request) ?? {};
    const isRefusal = status >= 400 && status < SERVER_FAULT && !GONE.has(status) && code !== 'cancelled';
    if (isRefusal && one.doors.length === 1)
      found.push(
        violation('refusedAddNothing', `${requestId} was answered with ${status} ${code} and made ${one.key}`),
      );
  }
  return found;
}

function checkLabels({ key, model }: ClientRequest, made: readonly Made[]): Violation[] {
  return made.flatMap(({ key: which, document: { job } }) => {
    const found: Violation[] = [];
    if (job?.tenant !== key)
      found.push(violation('keysSeeTheirOwn', `${which} is the key's ${job?.tenant}, not ${key}`));
    const used = String(job?.parameters?.model ?? model);
    if (job?.model !== model || used !== model)
      found.push(violation('modelsAreRouted', `${which} is for ${job?.model} and was made with ${used}, not ${model}`));
    return found;
  });
}

function checkCompletedOnce(made: readonly Made[], { history, carriedOver }: ClientEvidence): Violation[] {
  return made
    .filter(({ key }) => !carriedOver.has(key))
    .map(({ key }) => ({ key, times: history.completions.filter((completion) => completion.key === key).length }))
    .filter(({ times }) => times > 1)
    .map(({ key, times }) => violation('documentsCompleteOnce', `${key} was completed ${times} times`));
}

function checkImages({ outcome }: ClientRequest, made: readonly Made[], { objectOf }: ClientEvidence): Violation[] {
  if (outcome?.kind !== 'images') return [];
  const wrong = (found: string): Violation[] => [violation('answersAreTheImages', found)];
  if (outcome.images.length === 0) return wrong('it was answered without an image');
  return outcome.images.flatMap(({ id, index, sha256 }) => {
    const document = made.find((one) => one.id === id)?.document;
    if (document?.['status'] !== 'completed')
      return wrong(`it got an image of ${id}, which is ${document?.['status']}`);
    const name = objectKey(documentIdOf(document['_id']), { prefix: DEFAULT_OBJECT_PREFIX, imageIndex: index });
    const stored = objectOf(name);
    return stored !== undefined && sha256Of(stored) === sha256 ? [] : wrong(`it got other bytes than those of ${name}`);
  });
}
