/** One HTTP request of a client, with the record of what came of it. */
import { createHash } from 'node:crypto';
import type { Asking } from './asking.ts';
import type { Attempt, ClientRequest } from './client-record.ts';

export interface Sending {
  /** Behind the server's URL. */
  readonly path: string;
  readonly method?: string;
  /** `authorization` is the request's own key where none is given. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal?: AbortSignal | undefined;
  readonly retryCount: number;
  /** The status of an attempt that must be refused. */
  readonly mustBe?: number;
  /** Reads the body. Default: as fast as it comes. */
  readonly read?: (response: Response) => Promise<Buffer>;
}

export interface Got {
  readonly status: number;
  readonly headers: Headers;
  readonly bytes: Buffer;
  readonly attempt: Attempt;
}

/** @throws where the connection cannot be made, breaks, or is broken off */
export async function send(asking: Asking, sending: Sending): Promise<Got> {
  const { read = wholeBody } = sending;
  const { attempt, response } = await open(asking, sending);
  try {
    const bytes = await read(response);
    attempt.status = response.status;
    if (response.status >= 400) noteCode(attempt, bytes);
    return { status: response.status, headers: response.headers, bytes, attempt };
  } finally {
    attempt.endedMs = performance.now();
  }
}

/** The head of the answer has come. @throws where the connection cannot be made or breaks before it */
export async function open(
  { request, pickServer, secret }: Asking,
  { path, method = 'POST', headers, body, signal, retryCount, mustBe }: Sending,
): Promise<{ readonly attempt: Attempt; readonly response: Response }> {
  const server = pickServer();
  const attempt = startAttempt(request, { server, retryCount, ...(mustBe === undefined ? {} : { mustBe }) });
  try {
    if (server === undefined) throw new Error('no server listens yet');
    const response = await fetch(`${server}${path}`, {
      method,
      headers: {
        'content-type': 'application/json',
        authorization: `Bearer ${secret}`,
        ...headers,
        'x-request-id': attempt.requestId,
      },
      ...(body === undefined ? {} : { body }),
      ...(signal === undefined ? {} : { signal }),
    });
    return { attempt, response };
  } catch (error) {
    attempt.endedMs = performance.now();
    throw error;
  }
}

export function startAttempt(
  { number, attempts }: ClientRequest,
  facts: Pick<Attempt, 'server' | 'retryCount' | 'mustBe'>,
): Attempt {
  const attempt: Attempt = {
    requestId: `client-${number}-${attempts.length}`,
    ...facts,
    startedMs: performance.now(),
  };
  attempts.push(attempt);
  return attempt;
}

/** Milliseconds until the server says that a repetition makes sense, or a while. */
export function pauseMs({ random }: Asking, got: Pick<Got, 'headers'> | undefined): number {
  const seconds = Number(got?.headers.get('retry-after') ?? random.between(0.1, 1));
  // No client of this test waits longer: the run must end.
  return Math.min(seconds, 5) * 1000;
}

export function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

async function wholeBody(response: Response): Promise<Buffer> {
  return Buffer.from(await response.arrayBuffer());
}

export function noteCode(attempt: Attempt, bytes: Buffer): void {
  const code = codeIn(bytes);
  if (code === undefined) attempt.problem = bytes.toString().slice(0, 300);
  else attempt.code = code;
}

/** Of an error in OpenAI's shape, in the web UI's, or of a problem. */
function codeIn(bytes: Buffer): string | undefined {
  try {
    const { code, error } = JSON.parse(bytes.toString()) as { code?: unknown; error?: string | { code?: unknown } };
    const found = code ?? (typeof error === 'string' ? error : error?.code);
    return typeof found === 'string' ? found : undefined;
  } catch {
    return undefined;
  }
}
