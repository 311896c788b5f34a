/** OpenAI's SDK for Node with the server as its base URL, and what tests ask of it. */
import assert from 'node:assert/strict';
import OpenAI, { type APIError } from 'openai';
import type { Served } from '../served.ts';

type Options = ConstructorParameters<typeof OpenAI>[0];

export function clientOf({ url }: Pick<Served, 'url'>, options: Options = {}): OpenAI {
  return new OpenAI({ baseURL: `${url}/v1`, apiKey: 'any', ...options });
}

export function isPng(base64: string | undefined): void {
  assert.match(base64 ?? '', /^iVBORw0KGgo/);
}

/** The error that a call ends with. */
export async function errorOf<T extends APIError>(
  call: Promise<unknown>,
  kind: abstract new (...args: never[]) => T,
): Promise<T> {
  const error = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof kind, `${kind.name} was expected: ${String(error)}`);
  return error;
}

/** Ids of all jobs in the queue. */
export async function jobsOf({ queue }: Served): Promise<readonly string[]> {
  return (await queue.list({ limit: 100 })).map(({ id }) => id);
}
