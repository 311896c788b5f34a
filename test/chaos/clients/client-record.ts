/** What the clients of the chaos test sent and got: the evidence of `verdict/client-verdict.ts`. */
import type { KeyName, Model } from '../settings.ts';

export const CLIENT_KINDS = {
  // OpenAI's own SDK, which decides itself what it repeats
  patient: 3,
  impatient: 3,
  withKey: 2,
  streaming: 3,
  // four of them at once, under a key that may have two open jobs
  limited: 1,
  // raw requests to OpenAI's route
  slowReader: 2,
  largeReader: 1,
  leaver: 2,
  brokenUpload: 1,
  // raw requests to the web UI's route
  webUi: 2,
  webUiLeaver: 2,
  // the jobs API, each with an Idempotency-Key
  jobs: 3,
  jobsTwice: 3,
  cancelAfter: 1,
  // somebody who has no right to it
  stranger: 1,
} as const;
export type ClientKind = keyof typeof CLIENT_KINDS;

/** How a stream ended that was read to its end. */
export interface StreamEnd {
  readonly last: 'completed' | 'error' | 'nothing';
  /** `partial_image_index` of each partial image, in their order. */
  readonly partials: readonly number[];
}

/** One HTTP request. */
export interface Attempt {
  /** Its `x-request-id`, which the document carries as `job.door` while this attempt has it. */
  readonly requestId: string;
  /** The URL of the server, or undefined where none listened yet. */
  readonly server: string | undefined;
  readonly retryCount: number;
  readonly startedMs: number;
  endedMs?: number;
  /** Undefined: the connection broke, or was broken off by the client. */
  status?: number;
  /** Of an error; undefined where its body has none. */
  code?: string;
  /** The whole body of an error without a code that should have one; its beginning. */
  problem?: string;
  /** Ids of documents, out of an answer that is no error. */
  ids?: readonly string[];
  stream?: StreamEnd;
  /** Of an attempt that must be refused, and with what. */
  readonly mustBe?: number;
}

export interface ReceivedImage {
  readonly id: string;
  readonly index: number;
  readonly sha256: string;
}

export type Outcome =
  | { readonly kind: 'images'; readonly images: readonly ReceivedImage[] }
  | { readonly kind: 'error'; readonly status: number; readonly code: string | undefined }
  /** It was told to end after a time, and did. */
  | { readonly kind: 'cancelled' }
  /** As it must be. */
  | { readonly kind: 'refused' }
  /** The client left for good, or never sent all of its request. */
  | { readonly kind: 'left' };

/** One thing that a client wants, with all its repetitions. */
export interface ClientRequest {
  readonly number: number;
  readonly kind: ClientKind;
  readonly key: KeyName;
  readonly model: Model;
  /** The name of the model as it is asked for: an OpenAI name means the default. */
  readonly modelName: string;
  /** One for each document. No other request has any of them. */
  readonly texts: readonly string[];
  readonly attempts: Attempt[];
  /** Undefined: it never ended. */
  outcome?: Outcome;
}

const KEYED: ReadonlySet<ClientKind> = new Set(['withKey', 'jobs', 'jobsTwice', 'cancelAfter']);
const LEAVING: ReadonlySet<ClientKind> = new Set(['leaver', 'webUiLeaver']);

/** It has an Idempotency-Key. */
export function isKeyed({ kind }: Pick<ClientRequest, 'kind'>): boolean {
  return KEYED.has(kind);
}

/** It breaks its connection off, and never comes back. */
export function isLeaving({ kind }: Pick<ClientRequest, 'kind'>): boolean {
  return LEAVING.has(kind);
}

export function isBroken({ status }: Attempt): boolean {
  return status === undefined;
}

export function clientText(number: number, index: number, order = ''): string {
  return `client ${number} ${index}${order}`;
}

/** The number of the request that a document belongs to; undefined: it is not a client's. */
export function requestNumberOf(text: unknown): number | undefined {
  const [, number] = typeof text === 'string' ? (/^client (\d+) /.exec(text) ?? []) : [];
  return number === undefined ? undefined : Number(number);
}
