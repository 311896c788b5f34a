/**
 * Reads a document's `job` as far as it can be believed. Anyone who may insert documents can also insert a `job`, a `status` or an `error`. Any
 * program can write the file of the embedded queue. So each value is read here as the service would have written it: of our type, within our bounds,
 * or not at all. Both queues' lists, claims and outboxes read through these functions. None of them throws.
 */
import { isRecord, own } from '../lib/foreign-record.ts';
import { cut, quote } from '../lib/foreign-text.ts';
import { omitUndefined } from '../lib/omit-undefined.ts';
import type { FieldValue } from '../job/request-field.ts';
import type { JobProgress, JobSummary } from './prompt-queue.ts';
import { unpackedBody } from './webhook-body.ts';
import type { WebhookState, WebhookSummary } from './webhook-outbox.ts';

/** How the service makes a `run_id`: 16 random bytes. Any other text is not one. */
export const RUN_ID = /^[0-9a-f]{32}$/;
/** More than `--max-attempts` allows. */
const MAX_ATTEMPTS = 1_000_000;
/** A prompt is allowed 64 KiB by default; a longer one is shown cut. */
const MAX_TEXT_LENGTH = 100_000;
const MAX_ERROR_LENGTH = 1000;
const MAX_URL_LENGTH = 4096;
const MAX_NAME_LENGTH = 64;
const MAX_OWNER_LENGTH = 300;
/** The service records about ten parameters; a later version may write more. */
const MAX_PARAMETERS = 64;
/** Of a list among them, such as the timesteps. */
const MAX_ELEMENTS = 1000;
const MAX_WARNINGS = 100;
const MAX_URLS = 4096;
/** Of a text in the request, other than the prompt. */
const MAX_ASKED_LENGTH = 10_000;
/** These have fields of their own in a summary. */
const SUMMARIZED: ReadonlySet<string> = new Set(['text', 'priority']);
const MAX_HOOK_ID_LENGTH = 200;
const WEBHOOK_STATES = ['pending', 'delivered', 'dead'] as const satisfies readonly WebhookState[];

/** The values of one document, as the queue's driver gives them; numbers and dates as JavaScript's. */
export interface JobSource {
  readonly id: string;
  readonly status: unknown;
  readonly text: unknown;
  readonly priority: unknown;
  readonly seed: unknown;
  readonly imageUrls: unknown;
  readonly error: unknown;
  readonly attempts: unknown;
  readonly progress: { readonly step: unknown; readonly steps: unknown };
  readonly owner: unknown;
  readonly leaseUntil: unknown;
  readonly awaitsRetry: unknown;
  readonly lastError: unknown;
  readonly parameters: unknown;
  readonly warnings: unknown;
  readonly enqueuedAt: unknown;
  readonly finishedAt: unknown;
  /** The document's request fields, as they lie there. */
  readonly request: Readonly<Record<string, unknown>>;
  /** Of the last claim. */
  readonly startedAt: unknown;
  readonly worker: unknown;
  /** The labels that a server wrote. */
  readonly model: unknown;
  readonly tenant: unknown;
  readonly door: unknown;
}

/** A document as lists show it. */
export function jobSummary(source: JobSource): JobSummary {
  const { status } = source;
  const isWaiting = status === 'processing' && source.awaitsRetry === true;
  const sometimes: SometimesThere = {
    progress: status === 'processing' ? progressOf(source.progress) : undefined,
    owner: textOr(source.owner, MAX_OWNER_LENGTH),
    leaseUntil: dateOf(source.leaseUntil),
    imageUrls: urlsOf(source.imageUrls),
    seed: status === 'completed' ? wholeOf(source.seed, Number.MAX_SAFE_INTEGER) : undefined,
    parameters: parametersOf(source.parameters),
    warnings: warningsOf(source.warnings),
    error: isAbsent(source.error)
      ? undefined
      : (textOr(source.error, MAX_ERROR_LENGTH) ?? quote(source.error, MAX_ERROR_LENGTH)),
    lastError: status === 'completed' || status === 'error' ? undefined : textOr(source.lastError, MAX_ERROR_LENGTH),
    awaitsRetry: isWaiting ? true : undefined,
    enqueuedAt: dateOf(source.enqueuedAt),
    finishedAt: status === 'completed' || status === 'error' ? dateOf(source.finishedAt) : undefined,
    request: requestOf(source.request),
    startedAt: dateOf(source.startedAt),
    worker: textOr(source.worker, MAX_OWNER_LENGTH) ?? textOr(source.owner, MAX_OWNER_LENGTH),
    model: textOr(source.model, MAX_OWNER_LENGTH),
    tenant: textOr(source.tenant, MAX_OWNER_LENGTH),
    door: textOr(source.door, MAX_OWNER_LENGTH),
  };
  return {
    id: source.id,
    status: textOr(status, MAX_NAME_LENGTH) ?? quote(status, MAX_NAME_LENGTH),
    text: textOr(source.text, MAX_TEXT_LENGTH) ?? (source.text === undefined ? '' : quote(source.text)),
    priority: numberOf(source.priority) ?? 0,
    attempts: attemptsOf(source.attempts),
    ...omitUndefined(sometimes),
  };
}

type SometimesThere = {
  readonly [Field in Exclude<keyof JobSummary, 'id' | 'status' | 'text' | 'priority' | 'attempts'>]-?:
    | JobSummary[Field]
    | undefined;
};

/** A finite number. */
export function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}

/** A whole number from 0 to `max`. */
function wholeOf(value: unknown, max: number): number | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && value <= max ? value : undefined;
}

/** A number of attempts; 0 if the service would not have written this value. */
export function attemptsOf(value: unknown): number {
  return wholeOf(value, MAX_ATTEMPTS) ?? 0;
}

/** A date that JavaScript can print; BSON's go further. */
export function dateOf(value: unknown): Date | undefined {
  return value instanceof Date && !Number.isNaN(value.getTime()) ? value : undefined;
}

/** A text, cut to `length`. */
export function textOr(value: unknown, length: number): string | undefined {
  return typeof value === 'string' ? cut(value, length) : undefined;
}

/** A webhook as the service writes it into a document. Whether it did is another question: `mongo/webhook-proof.ts` answers it. */
export interface HookRecord {
  readonly id: string;
  readonly state: WebhookState;
  readonly attempts: number;
  readonly due: Date | undefined;
  /** The exact text; undefined where none can be had. */
  readonly body: string | undefined;
  readonly url: string | undefined;
  readonly error: string | undefined;
  readonly deliveredAt: Date | undefined;
  readonly proof: string | undefined;
}

/** Undefined if the value does not even have the form of a webhook. */
export function hookOf(value: unknown): HookRecord | undefined {
  if (!isRecord(value)) return undefined;
  const [id, url] = [own(value, 'id'), own(value, 'url')];
  const state = WEBHOOK_STATES.find((one) => one === own(value, 'state'));
  if (typeof id !== 'string' || id === '' || id.length > MAX_HOOK_ID_LENGTH || state === undefined) return undefined;
  if (url !== undefined && typeof url !== 'string') return undefined;
  return {
    id,
    state,
    attempts: attemptsOf(own(value, 'attempts')),
    due: dateOf(own(value, 'due')),
    body: unpackedBody(value),
    url,
    error: textOr(own(value, 'error'), MAX_ERROR_LENGTH),
    deliveredAt: dateOf(own(value, 'delivered_at')),
    proof: textOr(own(value, 'proof'), MAX_NAME_LENGTH),
  };
}

/** A webhook as lists show it. */
export function webhookSummary(
  promptId: string,
  { id, state, attempts, url, due, deliveredAt, error }: Omit<HookRecord, 'body' | 'proof'>,
): WebhookSummary {
  const dueAt = state === 'pending' ? due : undefined;
  return { id, promptId, state, attempts, ...omitUndefined({ url, dueAt, deliveredAt, error }) };
}

function progressOf({ step, steps }: JobSource['progress']): JobProgress | undefined {
  const all = wholeOf(steps, Number.MAX_SAFE_INTEGER);
  const done = wholeOf(step, all ?? 0);
  return all === undefined || done === undefined ? undefined : { step: done, steps: all };
}

function urlsOf(value: unknown): readonly string[] | undefined {
  if (!Array.isArray(value)) return undefined;
  return value
    .slice(0, MAX_URLS)
    .map((url: unknown) => textOr(url, MAX_URL_LENGTH) ?? quote(url))
    .filter((url) => url !== '');
}

/** The fields that the user set, except the prompt. A value that is not text, a number or a boolean is quoted. Undefined if there are none. */
function requestOf(fields: JobSource['request']): JobSummary['request'] {
  const asked = Object.entries(fields)
    .filter(([name, value]) => !SUMMARIZED.has(name) && !isAbsent(value))
    .map(([name, value]) => {
      return [name, plainOf(value, MAX_ASKED_LENGTH) ?? quote(value)] as const;
    });
  return asked.length === 0 ? undefined : Object.fromEntries(asked);
}

function parametersOf(value: unknown): JobSummary['parameters'] {
  if (!isRecord(value)) return undefined;
  const known = Object.keys(value)
    .slice(0, MAX_PARAMETERS)
    .filter((name) => name.length <= MAX_NAME_LENGTH)
    .flatMap((name) => {
      const used = parameterOf(own(value, name));
      return used === undefined ? [] : [[name, used] as const];
    });
  return Object.fromEntries(known);
}

/** A value as `request-field.ts` allows it: plain, or a list of plain values. */
function parameterOf(value: unknown): FieldValue | undefined {
  if (!Array.isArray(value)) return plainOf(value, MAX_TEXT_LENGTH);
  return value.slice(0, MAX_ELEMENTS).flatMap((element: unknown) => plainOf(element, MAX_NAME_LENGTH) ?? []);
}

function plainOf(value: unknown, length: number): string | number | boolean | undefined {
  return typeof value === 'boolean' ? value : (textOr(value, length) ?? numberOf(value));
}

function warningsOf(value: unknown): readonly string[] | undefined {
  if (!Array.isArray(value)) return undefined;
  return value
    .slice(0, MAX_WARNINGS)
    .filter((warning) => typeof warning === 'string')
    .map((warning) => cut(warning, MAX_ERROR_LENGTH));
}

function isAbsent(value: unknown): boolean {
  return value === undefined || value === null;
}
