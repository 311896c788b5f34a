/**
 * A receiver of webhooks: verifies the Standard Webhooks signature and prints each result as one line of JSON. It uses Node's own modules only.
 * It needs Node 24 or newer, which `npx node` starts in this clone.
 * Usage: TEXT2IMG_WEBHOOK_SECRET=whsec_… PORT=8080 npx node examples/webhook-receiver.ts
 * Then: text2img run --callback-url http://127.0.0.1:8080/ with the same secret.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage } from 'node:http';

const { TEXT2IMG_WEBHOOK_SECRET: secret = '', PORT: port = '8080' } = process.env;
if (!secret.startsWith('whsec_')) throw new Error('set TEXT2IMG_WEBHOOK_SECRET to the secret of text2img, whsec_…');
const key = Buffer.from(secret.slice('whsec_'.length), 'base64');

const MAX_BODY_BYTES = 16 * 1024 * 1024;
/** An older message may be one that somebody recorded and sends again. */
const MAX_AGE_SECONDS = 5 * 60;
/** A webhook may arrive more than once, always with the same id. Keep the ids where your results are; this example forgets them when it ends. */
const seen = new Set<string>();

/** The body as it arrived: the signature is over its bytes, so it is not parsed before. */
async function readBody(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function header(request: IncomingMessage, name: string): string {
  return String(request.headers[name] ?? '');
}

/** HMAC-SHA256 over "id.timestamp.body". While secrets are rotated the header holds several signatures, with blanks between them. */
function isSigned(request: IncomingMessage, body: Buffer): boolean {
  const timestamp = header(request, 'webhook-timestamp');
  if (!(Math.abs(Date.now() / 1000 - Number(timestamp)) <= MAX_AGE_SECONDS)) return false;
  const signed = createHmac('sha256', key)
    .update(`${header(request, 'webhook-id')}.${timestamp}.`)
    .update(body)
    .digest();
  return header(request, 'webhook-signature')
    .split(' ')
    .filter((entry) => entry.startsWith('v1,'))
    .map((entry) => Buffer.from(entry.slice('v1,'.length), 'base64'))
    .some((signature) => signature.length === signed.length && timingSafeEqual(signature, signed));
}

interface Message {
  readonly results?: readonly unknown[];
  readonly errors?: readonly unknown[];
}

/** @returns the status of the answer; a webhook that is not answered with 2xx is sent again */
async function receive(request: IncomingMessage): Promise<number> {
  const body = await readBody(request);
  if (body === undefined) return 413;
  if (!isSigned(request, body)) return 401;
  const id = header(request, 'webhook-id');
  if (seen.has(id)) return 204;
  const { results = [], errors = [] } = JSON.parse(body.toString()) as Message;
  for (const result of [...results, ...errors]) process.stdout.write(`${JSON.stringify(result)}\n`);
  seen.add(id);
  return 204;
}

const server = createServer((request, response) => {
  const answer = (status: number) => void response.writeHead(status, { connection: 'close' }).end();
  receive(request).then(answer, (error: unknown) => {
    process.stderr.write(`${String(error)}\n`);
    answer(500);
  });
});
server.listen(Number(port), () => process.stderr.write(`listening on ${JSON.stringify(server.address())}\n`));
process.on('SIGTERM', () => {
  server.close();
  server.closeAllConnections();
});
