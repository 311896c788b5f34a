/**
 * One of the process's two output streams. Text that its reader does not take waits in a bounded queue. A write never throws and never waits. At
 * the end `flush` waits only as long as the reader goes on reading.
 */
import type { Writable } from 'node:stream';
import { systemCode } from '../lib/disk-errors.ts';
import { pause } from '../lib/pause.ts';

export interface OutputStreamOptions {
  /** The most bytes that wait for the reader. A text that does not fit any more is left out. */
  readonly maxQueuedBytes: number;
  /** Called with the number of texts that were left out, when the reader has caught up or at the end. @returns the text to write in their place */
  readonly onLeftOut: (count: number) => string | undefined;
  /** Whenever writing fails, except that the reader has gone. */
  readonly onFailure?: (error: Error) => void;
}

/** A slow reader is seen to go on by pieces of this size. */
const PIECE_BYTES = 64 * 1024;
const LOOK_MS = 20;

export class OutputStream {
  readonly #stream: Writable;
  readonly #options: OutputStreamOptions;
  #pieces: Buffer[] = [];
  #queuedBytes = 0;
  #takenPieces = 0;
  #leftOut = 0;
  /** The reader closed its end (`| head`): nobody wants the rest, which is no error. */
  #isGone = false;

  constructor(stream: Writable, options: OutputStreamOptions) {
    this.#stream = stream;
    this.#options = options;
    stream.on('error', (error) => this.#failed(error));
  }

  write(text: string): void {
    if (this.#isGone) return;
    const bytes = Buffer.from(text);
    // Once a text is left out, so are those behind it until the reader has caught up: the order stays, and one note is enough.
    if (
      this.#leftOut > 0 ||
      (this.#queuedBytes > 0 && this.#queuedBytes + bytes.length > this.#options.maxQueuedBytes)
    ) {
      this.#leftOut++;
      return;
    }
    this.#queue(bytes);
    this.#pump();
  }

  /** Waits until all is read, the reader has gone, or has taken nothing for so long. */
  async flush(patienceMs: number): Promise<void> {
    // Node reports the error of a failed write in a later turn of the event loop.
    await new Promise((resolve) => setImmediate(resolve));
    let taken = this.#takenPieces;
    let waitedMs = 0;
    while (this.#isWaiting() && waitedMs < patienceMs) {
      await pause(LOOK_MS);
      waitedMs = taken === this.#takenPieces ? waitedMs + LOOK_MS : 0;
      taken = this.#takenPieces;
    }
    if (this.#isWaiting()) this.#leftOut += Math.max(1, this.#pieces.length);
    if (this.#leftOut > 0) this.#options.onLeftOut(this.#leftOut);
    this.#leftOut = 0;
  }

  #isWaiting(): boolean {
    return !this.#isGone && (this.#pieces.length > 0 || this.#stream.writableLength > 0);
  }

  #queue(bytes: Buffer): void {
    for (let start = 0; start < bytes.length; start += PIECE_BYTES)
      this.#pieces.push(bytes.subarray(start, start + PIECE_BYTES));
    this.#queuedBytes += bytes.length;
  }

  /** Hands on one piece after the other while the system takes them; the rest when it takes more. */
  #pump(): void {
    while (!this.#isGone && this.#stream.writableLength === 0) {
      const piece = this.#pieces.shift() ?? this.#note();
      if (piece === undefined) return;
      this.#queuedBytes = Math.max(0, this.#queuedBytes - piece.length);
      this.#stream.write(piece, () => {
        this.#takenPieces++;
        this.#pump();
      });
    }
  }

  /** The text in the place of the texts that were left out. */
  #note(): Buffer | undefined {
    const count = this.#leftOut;
    if (count === 0) return undefined;
    this.#leftOut = 0;
    const note = this.#options.onLeftOut(count);
    return note === undefined ? undefined : Buffer.from(note);
  }

  #failed(error: Error): void {
    const code = systemCode(error);
    if (code === 'EPIPE' || code === 'ECONNRESET' || this.#stream.destroyed) {
      this.#isGone = true;
      this.#pieces = [];
      this.#queuedBytes = 0;
    }
    if (code !== 'EPIPE' && code !== 'ECONNRESET') this.#options.onFailure?.(error);
  }
}
