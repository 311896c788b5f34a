/**
 * Answers requests to `/mcp` by the official SDK: the present revision of the protocol and those of 2025. It keeps nothing between two requests but the
 * calls that run.
 */
import { randomUUID } from 'node:crypto';
import {
  type AuthInfo,
  createMcpHandler,
  type CreateMcpHandlerOptions,
  type McpHttpHandler,
  type McpRequestContext,
  type ServerContext,
} from '@modelcontextprotocol/server';
import type { FastifyRequest } from 'fastify';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { isRecord, own } from '../../lib/foreign-record.ts';
import { messageOf } from '../../lib/disk-errors.ts';
import type { Caller } from '../front/caller.ts';
import type { Front } from '../front/front.ts';
import type { DoorTools } from '../server/door.ts';
import { mcpServer } from './mcp-server.ts';
import { progressOf } from './progress.ts';
import { RunningCalls } from './running-calls.ts';
import type { ToolCall, ToolHost } from './tools.ts';

/** Proxies end a connection on which nothing comes for a minute. */
const KEEP_ALIVE_MS = 10_000;
const SESSION_HEADER = 'mcp-session-id';
/** As the protocol has it: visible ASCII. */
const SESSION = /^[\u0021-\u007e]{1,128}$/;

export class McpExchange {
  readonly #front: Front;
  readonly #tools: DoorTools;
  readonly #handler: McpHttpHandler;
  /** Of subscriptions, which end at once when the server goes down. Calls have the grace period. */
  readonly #subscriptions: McpHttpHandler;
  readonly #running = new RunningCalls();
  /** The SDK hands this object through to the server that it makes for a request. */
  readonly #callers = new WeakMap<AuthInfo, Caller>();

  constructor(front: Front, tools: DoorTools) {
    this.#front = front;
    this.#tools = tools;
    const options: CreateMcpHandlerOptions = {
      // From the first byte, so that keep-alives hold the connection while an image is made.
      responseMode: 'sse',
      keepAliveMs: KEEP_ALIVE_MS,
      onerror: (error) => this.#refused(error),
    };
    this.#handler = createMcpHandler((context) => this.#serverFor(context), options);
    this.#subscriptions = createMcpHandler((context) => this.#serverFor(context), options);
  }

  async answer(request: FastifyRequest): Promise<Response> {
    const caller = this.#callerOf(request);
    this.#takeBack(request, caller);
    const authInfo: AuthInfo = { token: '', clientId: caller.key?.name ?? '', scopes: [] };
    this.#callers.set(authInfo, caller);
    const { body } = request;
    const handler = methodOf(body) === 'subscriptions/listen' ? this.#subscriptions : this.#handler;
    const response = await handler.fetch(webRequest(request, caller.gone), {
      authInfo,
      ...(body === undefined ? {} : { parsedBody: body }),
    });
    // The first request of a client of 2025.
    if (methodOf(body) === 'initialize') response.headers.set(SESSION_HEADER, randomUUID());
    return response;
  }

  /** Ends what would not end by itself. */
  endSubscriptions(): Promise<void> {
    return this.#subscriptions.close();
  }

  #refused(error: Error): void {
    this.#tools.logger.debug('a request to /mcp was refused or failed', { error: { message: messageOf(error) } });
  }

  /** A client may send one `Idempotency-Key` with everything; here each call is a request of its own. */
  #callerOf(request: FastifyRequest): Caller {
    const { idempotencyKey: _, ...caller } = this.#tools.caller(request);
    return { ...caller, retryCount: 0 };
  }

  #serverFor({ era, authInfo }: McpRequestContext): ReturnType<typeof mcpServer> {
    const caller = authInfo === undefined ? undefined : this.#callers.get(authInfo);
    if (caller === undefined) throw new Text2ImgError('internal', 'a request to /mcp has no caller.');
    const host: ToolHost = {
      front: this.#front,
      caller,
      logger: this.#tools.logger,
      urlOf: ({ id }, { index }) => this.#urlOf(caller, id, index),
    };
    return mcpServer({ host, callOf: (context) => this.#callOf(context, { caller, isLegacy: era === 'legacy' }) });
  }

  /** In the present revision a client takes a call back by closing its stream. In those of 2025 it sends a message, and a closed stream says nothing. */
  #callOf({ mcpReq, http }: ServerContext, { caller, isLegacy }: CallOrigin): ToolCall & Disposable {
    const onProgress = progressOf(mcpReq);
    if (!isLegacy) return { cancelled: mcpReq.signal, gone: mcpReq.signal, onProgress, [Symbol.dispose]() {} };
    const session = sessionOf(http?.req?.headers.get(SESSION_HEADER));
    const running = this.#running.begin({ key: caller.key?.name, session, requestId: mcpReq.id });
    const { signal: cancelled } = running;
    return { cancelled, gone: caller.gone, onProgress, [Symbol.dispose]: () => running[Symbol.dispose]() };
  }

  #takeBack({ headers, body }: FastifyRequest, { key }: Caller): void {
    const session = sessionOf(headers[SESSION_HEADER]);
    for (const requestId of takenBack(body)) this.#running.takeBack({ key: key?.name, session, requestId });
  }

  #urlOf(caller: Caller, id: string, index: number): string | undefined {
    try {
      return this.#tools.signUrl(caller, id, index);
    } catch (error) {
      if (error instanceof Text2ImgError && error.code === 'not_implemented') return undefined;
      throw error;
    }
  }
}

/** A client without a session gets a name that nobody else has: it cannot take anything back. */
function sessionOf(given: unknown): string {
  return typeof given === 'string' && SESSION.test(given) ? given : randomUUID();
}

interface CallOrigin {
  readonly caller: Caller;
  readonly isLegacy: boolean;
}

/** @returns the ids of the requests that the message takes back */
function takenBack(body: unknown): readonly (string | number)[] {
  const messages: readonly unknown[] = Array.isArray(body) ? body : [body];
  return messages.flatMap((message) => {
    if (!isRecord(message) || own(message, 'method') !== 'notifications/cancelled') return [];
    const params = own(message, 'params');
    const requestId = isRecord(params) ? own(params, 'requestId') : undefined;
    return typeof requestId === 'string' || typeof requestId === 'number' ? [requestId] : [];
  });
}

function methodOf(body: unknown): unknown {
  return isRecord(body) ? own(body, 'method') : undefined;
}

/** The body is handed over beside it, parsed. */
function webRequest({ method, headers, url }: FastifyRequest, signal: AbortSignal): Request {
  const entries = Object.entries(headers).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, Array.isArray(value) ? value.join(', ') : value] as [string, string]],
  );
  // Host and scheme are of no interest to the SDK.
  return new Request(new URL(url, 'http://localhost'), { method, headers: entries, signal });
}
