/** The facts about a request that the server knows before a door sees it: its id, its key, and whether the client is still there. */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import type { ApiKey } from '../front/caller.ts';
import { AnswerEnd } from './answer-end.ts';

export interface RequestFacts {
  readonly startedMs: number;
  /** That the connection had sent before. Undefined in tests that call the server without one. */
  readonly bytesBefore: number | undefined;
  /** Aborted when the connection closes before the answer was written. */
  readonly gone: AbortSignal;
  readonly answer: AnswerEnd;
  /** Undefined: no key was asked for, or none was found. */
  key: ApiKey | undefined;
  /** The caller is known, or nobody asks who it is. */
  isKnown: boolean;
}

/** Other ids would be a way to write into logs. */
const REQUEST_ID = /^[A-Za-z0-9._-]{1,128}$/;

const facts = new WeakMap<IncomingMessage, RequestFacts>();

/** `x-request-id` where it is harmless, else a new one. */
export function requestIdOf({ headers }: Pick<IncomingMessage, 'headers'>): string {
  const given = headers['x-request-id'];
  return typeof given === 'string' && REQUEST_ID.test(given) ? given : randomUUID();
}

/** @param asksAgain as `AnswerEndOptions` has it */
export function noteRequest(
  request: IncomingMessage,
  response: ServerResponse,
  asksAgain: () => boolean,
): RequestFacts {
  const gone = new AbortController();
  // `close` of the request itself comes as soon as its body was read.
  const answer = new AnswerEnd(response, { onLost: () => gone.abort(), asksAgain });
  const noted = {
    startedMs: performance.now(),
    bytesBefore: sentBytes(request),
    gone: gone.signal,
    answer,
    key: undefined,
    isKnown: false,
  };
  facts.set(request, noted);
  return noted;
}

/** By its connection until now. Images are sent in pieces, without a length beforehand. */
export function sentBytes({ socket }: Pick<IncomingMessage, 'socket'>): number | undefined {
  return socket instanceof Socket ? socket.bytesWritten : undefined;
}

export function factsOf(request: IncomingMessage): RequestFacts | undefined {
  return facts.get(request);
}
