/** MCP over standard input and output: one connection, until the client closes it. Standard output carries the protocol and nothing else. */
import { randomUUID } from 'node:crypto';
import type { Readable, Writable } from 'node:stream';
import { serveStdio, StdioServerTransport } from '@modelcontextprotocol/server/stdio';
import { messageOf } from '../../lib/disk-errors.ts';
import { untilAborted } from '../../lib/until-aborted.ts';
import type { Caller } from '../front/caller.ts';
import { mcpServer } from './mcp-server.ts';
import { progressOf } from './progress.ts';
import type { ToolHost } from './tools.ts';

/** A call that ends with the connection still cancels its job. */
const LAST_CALLS_MS = 3000;

export interface StdioOptions extends Omit<ToolHost, 'caller'> {
  readonly input: Readable;
  readonly output: Writable;
  /** Aborted: the connection is closed from this side. */
  readonly signal: AbortSignal;
}

/** Resolves when the client has closed its side, or after the signal. */
export async function serveOverStdio({ input, output, signal, ...host }: StdioOptions): Promise<void> {
  const running = new Set<Promise<void>>();
  const ended = untilClosed(input, output, signal);
  const transport = new StdioServerTransport(input, output);
  const handle = serveStdio(
    () =>
      mcpServer({
        host: { ...host, caller: localCaller() },
        callOf: ({ mcpReq }) => {
          const { promise, resolve } = Promise.withResolvers<void>();
          running.add(promise);
          const end = (): void => {
            running.delete(promise);
            resolve();
          };
          // Also aborted when the connection ends: the client is gone, and nobody would see the image.
          const { signal: cancelled } = mcpReq;
          return { cancelled, gone: cancelled, onProgress: progressOf(mcpReq), [Symbol.dispose]: end };
        },
      }),
    {
      transport,
      onerror: (error) =>
        host.logger.warning('the MCP client was not understood', { error: { message: messageOf(error) } }),
    },
  );
  await ended;
  await handle.close();
  await untilAborted(Promise.all(running), AbortSignal.timeout(LAST_CALLS_MS));
}

/** The user who starts the process may do everything. */
function localCaller(): Caller {
  return {
    key: undefined,
    requestId: randomUUID(),
    retryCount: 0,
    gone: new AbortController().signal,
    door: 'mcp',
    host: '',
  };
}

async function untilClosed(input: Readable, output: Writable, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const end = (): void => resolve();
  const ends = [
    [input, 'end'],
    [input, 'close'],
    [output, 'error'],
    [output, 'close'],
  ] as const;
  for (const [stream, name] of ends) stream.on(name, end);
  await untilAborted(promise, signal);
  for (const [stream, name] of ends) stream.off(name, end);
}
