/** A `fetch` for OpenAI's SDK: what was sent and answered, without the SDK's long pauses before it repeats a request. */

interface Exchange {
  readonly status: number;
  /** As the SDK counts. */
  readonly retryCount: string | undefined;
  readonly headers: Headers;
}

export interface RecordingOptions {
  /** Before an error reaches the SDK. */
  readonly onError?: (exchange: Exchange) => Promise<void>;
  /** Between two requests, in place of `retry-after`. */
  readonly pauseMs?: number;
}

export function recordingFetch({ onError = async () => {}, pauseMs = 10 }: RecordingOptions = {}) {
  const exchanges: Exchange[] = [];
  const recording = async (url: string | URL | Request, init?: RequestInit): Promise<Response> => {
    const retryCount = new Headers(init?.headers).get('x-stainless-retry-count') ?? undefined;
    const response = await fetch(url, init);
    // The SDK tries with one whether forms can be sent.
    if (response.url.startsWith('data:')) return response;
    const exchange = { status: response.status, retryCount, headers: response.headers };
    exchanges.push(exchange);
    if (response.ok) return response;
    await onError(exchange);
    const headers = new Headers(response.headers);
    // The SDK obeys it before `retry-after`.
    if (headers.has('retry-after')) headers.set('retry-after-ms', String(pauseMs));
    return new Response(response.body, { status: response.status, headers });
  };
  return { fetch: recording, exchanges };
}
