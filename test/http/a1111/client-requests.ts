/** Requests that real clients send to this door, with what their answers must hold: recorded or read in their sources in November 2026. */
import { readFileSync } from 'node:fs';
import { z } from 'zod';

const schema = z.array(
  z.object({
    client: z.string(),
    evidence: z.enum(['ran', 'read']),
    method: z.string(),
    path: z.string(),
    headers: z.record(z.string(), z.string()),
    body: z.record(z.string(), z.unknown()).nullable(),
    answer: z.object({ status: z.number(), needs: z.array(z.string()) }),
    note: z.string().optional(),
  }),
);

export type ClientRequest = z.infer<typeof schema>[number];

const all = JSON.parse(readFileSync(new URL('../http-clients.json', import.meta.url), 'utf8')) as readonly {
  readonly path: string;
}[];

export const CLIENT_REQUESTS: readonly ClientRequest[] = schema.parse(
  all.filter(({ path }) => path.startsWith('/sdapi/') || path === '/'),
);

export function requestOf(client: string): ClientRequest {
  const found = CLIENT_REQUESTS.find((request) => request.client === client);
  if (found === undefined) throw new Error(`there is no request of ${client}`);
  return found;
}
