/** The official client against our server, in the present revision and in one of 2025. */
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import type { TestContext } from 'node:test';

export const REVISIONS = ['2026-07-28', '2025'] as const;
export type Revision = (typeof REVISIONS)[number];

export function clientOf(revision: Revision): Client {
  const mode = revision === '2025' ? 'legacy' : ({ pin: revision } as const);
  return new Client({ name: 'a test', version: '1' }, { versionNegotiation: { mode } });
}

export interface ConnectOptions {
  readonly revision: Revision;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Closed with the test. */
export async function connect(
  t: TestContext,
  url: string,
  { revision, headers = {} }: ConnectOptions,
): Promise<Client> {
  const client = clientOf(revision);
  t.after(() => client.close());
  await client.connect(new StreamableHTTPClientTransport(new URL('/mcp', url), { requestInit: { headers } }));
  return client;
}

type Answer = Awaited<ReturnType<Client['callTool']>>;

export function textOf({ content }: Answer): string {
  return content.flatMap((block) => (block.type === 'text' ? [block.text] : [])).join('\n');
}

export function imagesOf({ content }: Answer): readonly Buffer[] {
  return content.flatMap((block) => (block.type === 'image' ? [Buffer.from(block.data, 'base64')] : []));
}

/** What programs read of an answer. */
export function factsOf({ structuredContent }: Answer): Readonly<Record<string, unknown>> {
  return { ...(structuredContent as object) };
}
