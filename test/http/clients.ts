/** Requests of real clients as data: what they send, and what they need in the answer. Recorded or read in November 2026. */
import { readFile } from 'node:fs/promises';

export interface ClientRequest {
  readonly client: string;
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** JSON, or the fields of a form. */
  readonly body:
    | Readonly<Record<string, unknown>>
    | { readonly form: readonly (readonly [string, FormValue])[] }
    | null;
  readonly answer: { readonly status: number; readonly needs: readonly string[] };
}

type FormValue = string | { readonly file: string; readonly type: string };

/** Those whose path begins with one of these. */
export async function clientRequests(prefixes: readonly string[]): Promise<readonly ClientRequest[]> {
  const text = await readFile(new URL('http-clients.json', import.meta.url), 'utf8');
  const all = JSON.parse(text) as readonly ClientRequest[];
  return all.filter(({ path }) => prefixes.some((prefix) => path.startsWith(prefix)));
}

/** Sends it as its client does. `KEY` in its headers becomes `key`. */
export async function send(url: string, request: ClientRequest, key: string): Promise<Response> {
  const { method, path, body } = request;
  const headers = new Headers(
    Object.entries(request.headers).map(([name, value]) => [name, value.replace('KEY', key)]),
  );
  return fetch(`${url}${path}`, { method, headers, ...bodyOf(body, headers) });
}

function bodyOf(body: ClientRequest['body'], headers: Headers): RequestInit {
  if (body === null) return {};
  if (!('form' in body)) return { body: new TextEncoder().encode(JSON.stringify(body)) };
  const form = new FormData();
  for (const [name, value] of body.form as readonly (readonly [string, FormValue])[]) {
    if (typeof value === 'string') form.append(name, value);
    else form.append(name, new File(['image'], value.file, { type: value.type }));
  }
  // With its boundary.
  headers.delete('content-type');
  return { body: form };
}
