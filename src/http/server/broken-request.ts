/** Answers what is no HTTP request, or never becomes one: there is no route yet, so only the socket is there to write to. */
import type { Socket } from 'node:net';

interface BrokenRequest {
  readonly code?: string | undefined;
}

/** Node's codes of `clientError`. */
const ANSWERS: Readonly<Record<string, readonly [number, string, string]>> = {
  HPE_HEADER_OVERFLOW: [431, 'Request Header Fields Too Large', 'The headers have more bytes than the server reads.'],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'Request Timeout', 'The request did not arrive in time.'],
};

export function answerBrokenRequest({ code = '' }: BrokenRequest, socket: Socket): void {
  if (code === 'ECONNRESET' || !socket.writable) return void socket.destroy();
  const [status, reason, detail] = ANSWERS[code] ?? [400, 'Bad Request', 'This is no HTTP request.'];
  const body = JSON.stringify({ type: 'urn:text2img:error:invalid_request', status, detail, code: 'invalid_request' });
  socket.end(
    `HTTP/1.1 ${status} ${reason}\r\nconnection: close\r\ncontent-type: application/problem+json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}
