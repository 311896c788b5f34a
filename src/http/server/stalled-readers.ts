/** Cuts off clients that take nothing of their answer any more. Each holds a connection, a piece of an image and perhaps an open file. */
import type { ServerResponse } from 'node:http';
import { Socket } from 'node:net';

/** As nginx's `send_timeout`. A reader that is slow and goes on is not cut off. */
export const STALLED_MS = 60_000;

export function cutOffWhenStalled(response: ServerResponse, stalledMs: number): void {
  const { socket } = response.req;
  // Not in tests that call the server without a connection.
  if (!(socket instanceof Socket)) return;
  // It means that nothing was read or written, and that the system took nothing of what is being written. An answer that is waited for is silent too.
  response.setTimeout(stalledMs, () => {
    if (socket.writableLength > 0 || response.writableLength > 0) socket.destroy();
  });
}
