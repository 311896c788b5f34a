/** One HTTP request of a client, with the record of what came of it. */
import type { Asking } from './asking.ts';
import type { Attempt, ClientRequest } from './client-record.ts';

export interface Sending {
  /** Behind the server's URL. */
  readonly path: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal?: AbortSignal | undefined;
  readonly retryCount: number;
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
export async function send({ request, pickServer }: Asking, sending: Sending): Promise<Got> {
  const { path, method = 'POST', body, signal, retryCount, read = wholeBody } = sending;
  const server = pickServer();
  const attempt = startAttempt(request, { server, retryCount });
  try {
    if (server === undefined) throw new Error('no server listens yet');
    const headers = { 'content-type': 'application/json', ...sending.headers, 'x-request-id': attempt.requestId };
    const response = await fetch(`${server}${path}`, {
      method,
      headers,
      ...(body === undefined ? {} : { body }),
      ...(signal === undefined ? {} : { signal }),
    });
    const bytes = await read(response);
    attempt.status = response.status;
    if (response.status >= 400) {
      const code = codeIn(bytes);
      if (code !== undefined) attempt.code = code;
    }
    return { status: response.status, headers: response.headers, bytes, attempt };
  } finally {
    attempt.endedMs = performance.now();
  }
}

export function startAttempt(
  { number, attempts }: ClientRequest,
  { server, retryCount }: Pick<Attempt, 'server' | 'retryCount'>,
): Attempt {
  const requestId = `client-${number}-${attempts.length}`;
  const attempt: Attempt = { requestId, server, retryCount, startedMs: performance.now() };
  attempts.push(attempt);
  return attempt;
}

async function wholeBody(response: Response): Promise<Buffer> {
  return Buffer.from(await response.arrayBuffer());
}

/** Of an error in OpenAI's shape, or of a problem. */
function codeIn(bytes: Buffer): string | undefined {
  try {
    const { code, error } = JSON.parse(bytes.toString()) as { code?: unknown; error?: { code?: unknown } };
    const found = code ?? error?.code;
    return typeof found === 'string' ? found : undefined;
  } catch {
    return undefined;
  }
}
