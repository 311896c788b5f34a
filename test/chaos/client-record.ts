/** What the clients of the chaos test sent and got: the evidence of `client-verdict.ts`. */

export const CLIENT_KINDS = {
  // OpenAI's own SDK
  patient: 3,
  impatient: 3,
  withKey: 3,
  // raw requests
  slowReader: 2,
  leaver: 2,
  brokenUpload: 1,
  // the jobs API, each with an Idempotency-Key
  jobs: 4,
  jobsTwice: 3,
} as const;
export type ClientKind = keyof typeof CLIENT_KINDS;

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
  /** Ids of documents, out of an answer that is no error. */
  ids?: readonly string[];
}

export interface ReceivedImage {
  readonly id: string;
  readonly index: number;
  readonly sha256: string;
}

export type Outcome =
  | { readonly kind: 'images'; readonly images: readonly ReceivedImage[] }
  | { readonly kind: 'error'; readonly status: number; readonly code: string | undefined }
  /** The client left for good, or never sent all of its request. */
  | { readonly kind: 'left' };

/** One thing that a client wants, with all its repetitions. */
export interface ClientRequest {
  readonly number: number;
  readonly kind: ClientKind;
  /** One for each document. No other request has any of them. */
  readonly texts: readonly string[];
  readonly attempts: Attempt[];
  /** Undefined: it never ended. */
  outcome?: Outcome;
}

const KEYED: ReadonlySet<ClientKind> = new Set(['withKey', 'jobs', 'jobsTwice']);

/** It has an Idempotency-Key. */
export function isKeyed({ kind }: Pick<ClientRequest, 'kind'>): boolean {
  return KEYED.has(kind);
}

export function clientText(number: number, index: number, order = ''): string {
  return `client ${number} ${index}${order}`;
}

/** The number of the request that a document belongs to; undefined: it is not a client's. */
export function requestNumberOf(text: unknown): number | undefined {
  const [, number] = typeof text === 'string' ? (/^client (\d+) /.exec(text) ?? []) : [];
  return number === undefined ? undefined : Number(number);
}
