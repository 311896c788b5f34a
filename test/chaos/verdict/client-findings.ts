/** What happened to the clients, in numbers, and what of it a run should meet. */
import type { Meeting } from '../coverage.ts';
import { type Attempt, type ClientRequest, isBroken, isKeyed, isLeaving } from '../clients/client-record.ts';
import type { ServerLife } from '../stage/server-place.ts';
import { attemptOf, isCancelled, type Made } from './made.ts';

export interface ClientFacts {
  readonly requests: readonly ClientRequest[];
  readonly madeBy: ReadonlyMap<number | undefined, readonly Made[]>;
  /** Of all servers. */
  readonly lives: readonly ServerLife[];
}

export interface ClientFindings {
  readonly attempts: number;
  /** Attempts whose connection broke. */
  readonly broken: number;
  /** Jobs that another attempt took over. */
  readonly takenOver: number;
  /** Documents of requests without a key beyond those of one attempt. */
  readonly anew: number;
  /** Of them, those that a retry made although the job of an attempt before it was there: what adoption is to prevent. With the request's number. */
  readonly notTakenOver: readonly string[];
  readonly cancelled: number;
  /** Requests by what they ended with. */
  readonly ends: Readonly<Record<string, number>>;
  /** Attempts by their answer. */
  readonly answers: Readonly<Record<string, number>>;
}

/** After a client has left, its job is cancelled after fifteen seconds; with the time that a cancel may take. */
const CANCELLED_WITHIN_MS = 16_000;
/** A server that was told to end, or is frozen, cancels nothing. */
const SERVER_MUST_LIVE_MS = 17_000;
/** Jobs that are generated for so long are previewed. */
const SLOW = /\[slow 1500\]/;

export function findingsOf({ requests, madeBy }: ClientFacts): ClientFindings {
  const attempts = requests.flatMap((request) => request.attempts);
  const keyless = requests.filter((request) => !isKeyed(request));
  const made = keyless.map((request) => ({ request, documents: madeBy.get(request.number) ?? [] }));
  const all = made.flatMap(({ documents }) => documents);
  return {
    attempts: attempts.length,
    broken: attempts.filter(isBroken).length,
    takenOver: all.filter(({ doors }) => doors.length > 1).length,
    anew: made.reduce((sum, { request, documents }) => sum + Math.max(0, documents.length - request.texts.length), 0),
    notTakenOver: made.flatMap(notTakenOver),
    cancelled: all.filter(isCancelled).length,
    ends: countBy(requests, ({ outcome }) =>
      outcome?.kind === 'error' ? `${outcome.status} ${outcome.code}` : (outcome?.kind ?? 'nothing'),
    ),
    answers: countBy(attempts, answerOf),
  };
}

function notTakenOver({ request, documents }: Requested): readonly string[] {
  return documents.flatMap((one) => {
    const made = attemptOf(one, request);
    if (made === undefined || made.retryCount === 0) return [];
    const isBefore = (other: Made): boolean => (attemptOf(other, request)?.startedMs ?? Infinity) < made.startedMs;
    const left = documents.find((other) => isBefore(other) && !isCancelled(other));
    return left === undefined
      ? []
      : [`${request.number} (${request.kind}): ${left.key}, then ${made.requestId} made ${one.key}`];
  });
}

function answerOf({ status, code, stream }: Attempt): string {
  if (status === undefined) return 'broken';
  return [status, stream === undefined ? undefined : 'stream', code].filter((part) => part !== undefined).join(' ');
}

function countBy<T>(items: readonly T[], nameOf: (item: T) => string): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const item of items) counts[nameOf(item)] = (counts[nameOf(item)] ?? 0) + 1;
  return Object.fromEntries(Object.entries(counts).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

export function clientMeetings(facts: ClientFacts): readonly Meeting[] {
  const { requests, madeBy } = facts;
  const all = requests.map((request) => ({ request, documents: madeBy.get(request.number) ?? [] }));
  const count = (isMet: (attempt: Attempt, request: ClientRequest) => boolean): number =>
    requests.reduce((sum, request) => sum + request.attempts.filter((one) => isMet(one, request)).length, 0);
  return [
    {
      what: 'a broken connection under an Idempotency-Key',
      times: count((a, request) => isKeyed(request) && isBroken(a)),
    },
    { what: 'a broken connection without a key', times: count((a, request) => !isKeyed(request) && isBroken(a)) },
    {
      what: 'a request with a key that one server lost and the other one answered',
      times: requests.filter(isKeyed).filter(isAnsweredElsewhere).length,
    },
    {
      what: 'a retry that took over the job of the attempt before',
      times: all.filter(({ documents }) => documents.some(({ doors }) => doors.length > 1)).length,
      chances: all.filter(couldBeTakenOver).length,
    },
    leftAndCancelled('leaver', facts),
    leftAndCancelled('webUiLeaver', facts),
    {
      what: 'several passes of the web UI that were cancelled as soon as their client had left',
      times: all.filter(
        ({ request, documents }) => isLeaving(request) && !isSingle(request) && documents.some(isCancelled),
      ).length,
    },
    {
      what: 'a job that ended by its Cancel-After',
      times: requests.filter(({ outcome }) => outcome?.kind === 'cancelled').length,
      chances: requests.filter(({ kind, texts }) => kind === 'cancelAfter' && isSlow(texts)).length,
    },
    {
      what: 'a stream with a partial image',
      times: count(({ stream }) => (stream?.partials.length ?? 0) > 0),
      chances: count(({ stream }, { texts }) => stream?.last === 'completed' && texts.some((text) => SLOW.test(text))),
    },
    {
      what: 'a key over its limit (429)',
      times: count(({ code }) => code === 'rate_limit_exceeded'),
      chances: requests.filter(({ kind }) => kind === 'limited').length / 2,
    },
    { what: 'a document of another key (404)', times: count(({ status, mustBe }) => mustBe === 404 && status === 404) },
    { what: 'a wrong key (401)', times: count(({ status, mustBe }) => mustBe === 401 && status === 401) },
    { what: 'the end of a server that says so (503)', times: count(({ code }) => code === 'shutting_down') },
  ];
}

/** Of several passes the server cancels the jobs at once, because no retry takes them over. */
function isSingle({ texts }: ClientRequest): boolean {
  return texts.length === 1;
}

function isSlow(texts: readonly string[]): boolean {
  return texts.some((text) => text.includes('[slow 4500]'));
}

/** The attempt that made its document broke off, and the next one says that it is a retry. */
function couldBeTakenOver({ request: { attempts }, documents }: Requested): boolean {
  return documents.some(({ doors: [door] }) => {
    const place = attempts.findIndex(({ requestId }) => requestId === door);
    const [made, next] = [attempts[place], attempts[place + 1]];
    return made !== undefined && isBroken(made) && next !== undefined && next.retryCount > 0;
  });
}

interface Requested {
  readonly request: ClientRequest;
  readonly documents: readonly Made[];
}

/** Of the jobs that were open so long after their client had left a server that lived on. */
function leftAndCancelled(kind: 'leaver' | 'webUiLeaver', { requests, madeBy, lives }: ClientFacts): Meeting {
  const left = requests.filter((request) => request.kind === kind && isSingle(request));
  const documents = left.flatMap(({ number }) => madeBy.get(number) ?? []);
  const chances = left.filter(({ number, attempts: [attempt] }) => {
    const leftMs = attempt?.endedMs;
    if (leftMs === undefined || attempt?.status !== undefined) return false;
    const life = lives.find(({ url }) => url === attempt?.server);
    const hasLived = life !== undefined && (life.endedMs ?? Infinity) > leftMs + SERVER_MUST_LIVE_MS;
    const openUntilMs = (made: Made): number => (made.endedMs ?? Infinity) - performance.timeOrigin;
    return hasLived && (madeBy.get(number) ?? []).some((made) => openUntilMs(made) > leftMs + CANCELLED_WITHIN_MS);
  });
  return {
    what: `a job that was cancelled after its client had left (${kind})`,
    times: documents.filter(isCancelled).length,
    chances: chances.length,
  };
}

function isAnsweredElsewhere({ attempts }: ClientRequest): boolean {
  const broken = new Set(attempts.filter(isBroken).map(({ server }) => server));
  return attempts.some(({ ids, server }) => ids !== undefined && broken.size > 0 && !broken.has(server));
}
