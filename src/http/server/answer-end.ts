/**
 * How an answer ended. When the last byte has left this process, the client need not have it: it may lie in the buffers of two machines. A client that
 * closes its connection with bytes unread resets it. So a reset shortly behind the end counts as an answer that was lost.
 */
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { AnswerOutcome } from '../front/caller.ts';

type Listener = (outcome: AnswerOutcome) => void;

/** A reset that comes later is that of an idle connection. */
const LINGER_MS = 2000;

/** The last answer of each connection, as long as it may still be lost. */
const lingering = new WeakMap<Socket, () => void>();

export interface AnswerEndOptions {
  /** Called when the connection closes before everything was written. */
  readonly onLost: () => void;
  /** Whether the answer says that the same request may be sent again. */
  readonly asksAgain: () => boolean;
}

export class AnswerEnd {
  readonly #socket: Socket;
  readonly #listeners: Listener[] = [];
  #isWritten = false;
  #outcome: AnswerOutcome | undefined;

  constructor(response: ServerResponse, { onLost, asksAgain }: AnswerEndOptions) {
    this.#socket = response.req.socket;
    // A client that asks for more has the answer before.
    lingering.get(this.#socket)?.();
    // Also emitted when what is left was thrown away with the connection.
    response.once('finish', () => (this.#isWritten = !this.#socket.destroyed));
    response.once('close', () => {
      if (!this.#isWritten) onLost();
      if (!this.#isWritten || asksAgain()) this.#settle('lost');
      else if (this.#listeners.length === 0) this.#settle('taken');
      else this.#linger();
    });
  }

  /** Calls it once; at once where the answer has ended. */
  tell(listener: Listener): void {
    if (this.#outcome === undefined) this.#listeners.push(listener);
    else listener(this.#outcome);
  }

  #linger(): void {
    const onClose = (hadError: boolean): void => end(hadError ? 'lost' : 'taken');
    const end = (outcome: AnswerOutcome): void => {
      clearTimeout(timer);
      this.#socket.off('close', onClose);
      lingering.delete(this.#socket);
      this.#settle(outcome);
    };
    const timer = setTimeout(end, LINGER_MS, 'taken').unref();
    // Of requests that were sent without waiting.
    lingering.get(this.#socket)?.();
    lingering.set(this.#socket, () => end('taken'));
    this.#socket.once('close', onClose);
  }

  #settle(outcome: AnswerOutcome): void {
    this.#outcome = outcome;
    for (const listener of this.#listeners.splice(0)) listener(outcome);
  }
}
