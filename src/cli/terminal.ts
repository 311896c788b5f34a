/**
 * What the user sees: results on standard output, log lines and progress on standard error. On a terminal each picture at work has a bar
 * at the bottom; elsewhere progress is plain lines, one per quarter. A reader that closes its end (`| head`) is no error.
 */
import type { Writable } from 'node:stream';
import { printable } from '../lib/foreign-text.ts';

export interface ProgressUpdate {
  /** What is drawn: a prompt's id or a file name. */
  readonly label: string;
  readonly step: number;
  readonly steps: number;
  /** Which part of the work, where it is known. */
  readonly stage?: string;
}

interface Bar extends ProgressUpdate {
  readonly startedMs: number;
  /** The quarter that was printed last, where there is no terminal. */
  quarter: number;
}

export interface TerminalStreams {
  readonly stdout: Writable;
  readonly stderr: Writable & { readonly isTTY?: boolean; readonly columns?: number };
  readonly nowMs: () => number;
}

const BAR_WIDTH = 24;
/** A redraw more often than this only costs time. */
const REDRAW_INTERVAL_MS = 80;
const ERASE_LINE = '\u001b[2K';
const LINE_UP = '\u001b[1A';

export class Terminal implements Disposable {
  readonly #streams: TerminalStreams;
  readonly #bars = new Map<string, Bar>();
  #drawnLines = 0;
  #lastDrawMs = 0;

  constructor(streams: TerminalStreams) {
    this.#streams = streams;
    for (const stream of [streams.stdout, streams.stderr]) stream.on('error', ignoreClosedPipe);
  }

  /** A result, for standard output. */
  result(text: string): void {
    this.#erase();
    this.#streams.stdout.write(`${text}\n`);
    this.#draw();
  }

  /** A line for people, for standard error. */
  line(text: string): void {
    this.#erase();
    this.#streams.stderr.write(`${text}\n`);
    this.#draw();
  }

  /** Shows how far the picture `key` is. */
  progress(key: string, update: ProgressUpdate): void {
    const nowMs = this.#streams.nowMs();
    const before = this.#bars.get(key);
    const bar: Bar = { ...update, startedMs: before?.startedMs ?? nowMs, quarter: before?.quarter ?? -1 };
    this.#bars.set(key, bar);
    if (this.#streams.stderr.isTTY) {
      if (before !== undefined && nowMs - this.#lastDrawMs < REDRAW_INTERVAL_MS) return;
      this.#erase();
      this.#draw();
      return;
    }
    const quarter = Math.floor((4 * update.step) / update.steps);
    if (quarter === bar.quarter) return;
    bar.quarter = quarter;
    this.#streams.stderr.write(
      `${printable(update.label)}: ${update.stage === undefined ? '' : `${update.stage}, `}step ${update.step} of ${update.steps}\n`,
    );
  }

  /** The picture `key` has ended; its last bar stays above as a line. */
  endProgress(key: string): void {
    const bar = this.#bars.get(key);
    if (bar === undefined) return;
    this.#erase();
    this.#bars.delete(key);
    if (this.#streams.stderr.isTTY) this.#streams.stderr.write(`${this.#render(bar)}\n`);
    this.#draw();
  }

  [Symbol.dispose](): void {
    for (const key of this.#bars.keys()) this.endProgress(key);
  }

  #erase(): void {
    if (this.#drawnLines === 0) return;
    this.#streams.stderr.write(`${`${LINE_UP}${ERASE_LINE}`.repeat(this.#drawnLines)}\r`);
    this.#drawnLines = 0;
  }

  #draw(): void {
    if (!this.#streams.stderr.isTTY || this.#bars.size === 0) return;
    this.#lastDrawMs = this.#streams.nowMs();
    for (const bar of this.#bars.values()) this.#streams.stderr.write(`${this.#render(bar)}\n`);
    this.#drawnLines = this.#bars.size;
  }

  #render({ label, step, steps, stage, startedMs }: Bar): string {
    const filled = Math.min(BAR_WIDTH, Math.round((BAR_WIDTH * step) / steps));
    const seconds = ((this.#streams.nowMs() - startedMs) / 1000).toFixed(1);
    const facts =
      `[${'█'.repeat(filled)}${'░'.repeat(BAR_WIDTH - filled)}] ${String(step).padStart(String(steps).length)}/${steps} ${seconds} s ${stage ?? ''}`.trimEnd();
    // A wrapped line would break the count of lines to erase.
    const room = Math.max(8, (this.#streams.stderr.columns ?? 80) - facts.length - 2);
    return `${shorten(printable(label), room).padEnd(Math.min(28, room))} ${facts}`.slice(
      0,
      (this.#streams.stderr.columns ?? 80) - 1,
    );
  }
}

function shorten(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`;
}

function ignoreClosedPipe(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error;
}
