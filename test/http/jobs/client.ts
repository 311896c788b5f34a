/** A small client of the jobs API, for tests. */
import assert from 'node:assert/strict';
import type { Served } from '../served.ts';

const PROMPTS = '/api/v1/prompts';

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  /** JSON where the answer is some, else its text. */
  readonly body: Record<string, unknown>;
  readonly text: string;
}

export interface CallOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly json?: unknown;
  readonly key?: string;
}

/** @param path absolute, or behind the server's address */
export async function call(
  { url }: Pick<Served, 'url'>,
  path: string,
  { method = 'GET', headers = {}, json, key }: CallOptions = {},
): Promise<Answer> {
  const answer = await fetch(new URL(path, url), {
    method,
    headers: {
      ...(json === undefined ? {} : { 'content-type': 'application/json' }),
      ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
      ...headers,
    },
    ...(json === undefined ? {} : { body: JSON.stringify(json) }),
    redirect: 'manual',
  });
  const text = await answer.text();
  const isJson = /[/+]json/.test(answer.headers.get('content-type') ?? '');
  const body = isJson && text !== '' ? (JSON.parse(text) as Record<string, unknown>) : {};
  return { status: answer.status, headers: answer.headers, body, text };
}

export function create(served: Pick<Served, 'url'>, json: unknown, options: CallOptions = {}): Promise<Answer> {
  return call(served, PROMPTS, { ...options, method: 'POST', json });
}

/** The prompt, completed. */
export async function createAndWait(
  served: Pick<Served, 'url'>,
  json: unknown,
  options: CallOptions = {},
): Promise<Record<string, unknown>> {
  const { status, body, text } = await create(served, json, { ...options, headers: { prefer: 'wait=60' } });
  assert.equal(status, 200, text);
  assert.equal(body['status'], 'completed', text);
  return body;
}

export function pathOf(id: unknown, rest = ''): string {
  return `${PROMPTS}/${encodeURIComponent(String(id))}${rest}`;
}

export interface Problem {
  readonly code: string;
  readonly status: number;
}

/** Checks the whole form of an error, and what it says. */
export function assertProblem({ status, headers, body, text }: Answer, expected: Problem, ...parts: string[]): void {
  assert.match(headers.get('content-type') ?? '', /^application\/problem\+json\b/, text);
  assert.deepEqual([status, body['status'], body['code']], [expected.status, expected.status, expected.code], text);
  assert.equal(body['type'], `urn:text2img:error:${expected.code}`);
  assert.equal(body['request_id'], headers.get('x-request-id'));
  for (const part of parts) assert.ok(String(body['detail']).includes(part), text);
}

export interface ReadEvent {
  readonly event: string;
  readonly id: string | undefined;
  readonly data: Record<string, unknown>;
}

/** Reads a stream of events to its end. Comments are left out. */
export async function readEvents(
  { url }: Pick<Served, 'url'>,
  path: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<readonly ReadEvent[]> {
  const answer = await fetch(new URL(path, url), { headers: { accept: 'text/event-stream', ...headers } });
  assert.equal(answer.status, 200);
  assert.match(answer.headers.get('content-type') ?? '', /^text\/event-stream/);
  return eventsIn(await answer.text());
}

export function eventsIn(text: string): readonly ReadEvent[] {
  return text
    .split('\n\n')
    .filter((block) => block.startsWith('event: '))
    .map((block) => {
      const field = (name: string): string | undefined => new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1];
      const data = JSON.parse(field('data') ?? 'null') as Record<string, unknown>;
      return { event: field('event') ?? '', id: field('id'), data };
    });
}
