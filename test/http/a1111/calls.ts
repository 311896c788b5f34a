/** Calls of the web UI's API on a server of a test. */
import type { TestContext } from 'node:test';
import { type Served, type ServeOptions, serve } from '../served.ts';

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly json: Json;
}

export type Json = Readonly<Record<string, unknown>>;

interface Call {
  readonly method?: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export async function call(
  served: Served,
  path: string,
  { method = 'GET', body, headers = {} }: Call = {},
): Promise<Answer> {
  const sent = body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) };
  const answer = await fetch(`${served.url}${path}`, { method, headers: { ...headers }, ...sent });
  const text = await answer.text();
  const isJson = answer.headers.get('content-type')?.startsWith('application/json') === true && text !== '';
  return { status: answer.status, headers: answer.headers, text, json: isJson ? (JSON.parse(text) as Json) : {} };
}

export const txt2img = (
  served: Served,
  body: object,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> => call(served, '/sdapi/v1/txt2img', { method: 'POST', body, headers });

export const SMALL = { width: 64, height: 64, steps: 2 };
const MODELS = [
  { id: 'instant', aliases: [] },
  { id: 'sd15', aliases: ['old/name'] },
];

export async function served(t: TestContext, options: ServeOptions = {}): Promise<Served> {
  return await serve(t, { models: MODELS, ...options });
}

export function basic(secret: string): Readonly<Record<string, string>> {
  return { authorization: `Basic ${Buffer.from(`any:${secret}`).toString('base64')}` };
}

export function infoOf({ json }: Answer): Json {
  return JSON.parse(String(json['info'])) as Json;
}

export function imagesOf({ json }: Answer): readonly Buffer[] {
  return (json['images'] as readonly string[]).map((image) => Buffer.from(image, 'base64'));
}
