/**
 * The terminal: results on standard output, log lines and progress on standard error. On a terminal each job at work has a bar at the bottom.
 * Elsewhere, and with TERM=dumb, there is one line when it is complete, and one every ten seconds until then. No text has colours.
 * Every text leaves the program through this file. It escapes each line from any source, and only it ends a line.
 */
import type { Writable } from 'node:stream';
import type { Environment } from '../config/environment.ts';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { messageOf } from '../lib/disk-errors.ts';
import { cut, printable } from '../lib/foreign-text.ts';
import { OutputStream } from './output-stream.ts';
import { asTyped, ownNameIn } from './own-name.ts';
import { barLine, type Begin, plainLine, type Progress } from './progress-text.ts';

interface Bar extends Progress, Begin {
  /** When the last plain line was written. */
  readonly toldMs: number;
  /** A plain line has said that it is complete. */
  readonly isComplete: boolean;
}

export interface TerminalStreams {
  readonly stdout: Writable & { readonly isTTY?: boolean; readonly columns?: number };
  readonly stderr: Writable & { readonly isTTY?: boolean; readonly columns?: number; readonly rows?: number };
  readonly nowMs: () => number;
  /** `TERM` and `COLUMNS` are read, and how the program was started. */
  readonly environment?: Environment;
}

export interface FlushOptions {
  /** How long the program waits for a reader of the results that takes nothing. */
  readonly resultsMs: number;
  /** The same for the reader of the log. */
  readonly linesMs: number;
}

/** A log that nobody reads is dropped beyond this. */
const MAX_QUEUED_LOG_BYTES = 1024 * 1024;
/** Results are kept for a slow reader as long as memory bears it. */
const MAX_QUEUED_RESULT_BYTES = 256 * 1024 * 1024;
/** Of a line for people. */
const LINE_LENGTH = 4000;
const LABEL_LENGTH = 200;
/** A redraw more often than this only costs time. */
const REDRAW_INTERVAL_MS = 80;
/** Where there is no terminal, the time between two lines about one job or download. */
const PLAIN_INTERVAL_MS = 10_000;
/** Where neither the terminal nor COLUMNS says it. */
const USUAL_COLUMNS = 80;
const USUAL_ROWS = 24;
const ERASE_LINE = '\u001b[2K';
const LINE_UP = '\u001b[1A';

export class Terminal implements Disposable {
  readonly #streams: TerminalStreams;
  readonly #stdout: OutputStream;
  readonly #stderr: OutputStream;
  readonly #bars = new Map<string, Bar>();
  #drawnLines = 0;
  #lastDrawMs = 0;
  #lostResults: Text2ImgError | undefined;
  #log: ((line: string) => void) | undefined;

  constructor(streams: TerminalStreams) {
    this.#streams = streams;
    this.#stderr = new OutputStream(streams.stderr, {
      maxQueuedBytes: MAX_QUEUED_LOG_BYTES,
      onLeftOut: (count) => `… ${count} lines are missing here: nobody read standard error.\n`,
    });
    this.#stdout = new OutputStream(streams.stdout, {
      maxQueuedBytes: MAX_QUEUED_RESULT_BYTES,
      onLeftOut: () => {
        this.#resultsAreLost('nobody read it');
        return undefined;
      },
      onFailure: (error) => this.#resultsAreLost(messageOf(error)),
    });
  }

  /** Why Results are missing on standard output, if any are. */
  get lostResults(): Text2ImgError | undefined {
    return this.#lostResults;
  }

  /** The width that results may take; undefined where no person reads them. */
  get resultColumns(): number | undefined {
    const { isTTY, columns } = this.#streams.stdout;
    return isTTY === true ? (columns ?? 80) : undefined;
  }

  /** A result, for standard output: one line, or several. Whole, however long. */
  result(lines: string | readonly string[]): void {
    this.#erase();
    this.#stdout.write(
      asLines(lines)
        .map((line) => `${printable(line)}\n`)
        .join(''),
    );
    this.#draw();
  }

  /** A result that people read: commands in it are as this user types them. */
  resultForPeople(lines: string | readonly string[]): void {
    this.result(asLines(lines).map((line) => this.#asTyped(line)));
  }

  /** A line for people, or several, for standard error. */
  line(lines: string | readonly string[]): void {
    if (this.#log !== undefined) return asLines(lines).forEach(this.#log);
    this.#erase();
    for (const line of asLines(lines)) this.#stderr.write(`${printable(cut(this.#asTyped(line), LINE_LENGTH))}\n`);
    this.#draw();
  }

  /** A line of the log that is JSON: whole, however long, because half of it is no JSON. */
  jsonLine(line: string): void {
    this.#stderr.write(`${line}\n`);
  }

  /** From now on standard error holds JSON lines only: lines for people go to `log`, and there are no bars. */
  speakJson(log: (line: string) => void): void {
    this.#log = log;
  }

  /** Waits until what was written is read, or its readers have taken nothing for so long. */
  async flush({ resultsMs, linesMs }: FlushOptions): Promise<void> {
    await this.#stdout.flush(resultsMs);
    await this.#stderr.flush(linesMs);
  }

  #resultsAreLost(reason: string): void {
    if (this.#lostResults !== undefined) return;
    this.#lostResults = new Text2ImgError('output_lost', `Results are missing on standard output: ${reason}.`);
    this.line(`text2img: ${this.#lostResults.message} [${this.#lostResults.code}]`);
  }

  /** Shows how far the work `key` is. */
  progress(key: string, update: Progress): void {
    if (this.#log !== undefined) return;
    const nowMs = this.#streams.nowMs();
    const before = this.#bars.get(key);
    const begin = before ?? { startedMs: nowMs, firstStep: update.step, toldMs: nowMs, isComplete: false };
    const { startedMs, firstStep, toldMs, isComplete } = begin;
    const reachedMs = before?.step === update.step ? before.reachedMs : nowMs;
    const label = cut(update.label, LABEL_LENGTH);
    const bar = { ...update, label, startedMs, firstStep, reachedMs, toldMs, isComplete };
    this.#bars.set(key, bar);
    if (!this.#hasBars) return this.#progressLine(key, bar, nowMs);
    if (before !== undefined && nowMs - this.#lastDrawMs < REDRAW_INTERVAL_MS) return;
    this.#erase();
    this.#draw();
  }

  #progressLine(key: string, bar: Bar, nowMs: number): void {
    const isComplete = bar.step >= bar.steps;
    if (isComplete ? bar.isComplete : nowMs - bar.toldMs < PLAIN_INTERVAL_MS) return;
    this.#bars.set(key, { ...bar, toldMs: nowMs, isComplete });
    this.#stderr.write(`${plainLine(bar, nowMs)}\n`);
  }

  /** The work `key` has ended; its last bar stays above as a line. */
  endProgress(key: string): void {
    const bar = this.#bars.get(key);
    if (bar === undefined) return;
    this.#erase();
    this.#bars.delete(key);
    if (this.#hasBars) this.#stderr.write(`${this.#render(bar)}\n`);
    this.#draw();
  }

  [Symbol.dispose](): void {
    for (const key of this.#bars.keys()) this.endProgress(key);
  }

  #asTyped(line: string): string {
    return asTyped(line, ownNameIn(this.#streams.environment ?? {}));
  }

  #erase(): void {
    if (this.#drawnLines === 0) return;
    this.#stderr.write(`${`${LINE_UP}${ERASE_LINE}`.repeat(this.#drawnLines)}\r`);
    this.#drawnLines = 0;
  }

  #draw(): void {
    if (!this.#hasBars || this.#bars.size === 0) return;
    this.#lastDrawMs = this.#streams.nowMs();
    // A row above the top of the screen could not be erased again.
    const most = Math.max(1, (this.#streams.stderr.rows || USUAL_ROWS) - 2);
    const shown = [...this.#bars.values()].slice(0, most);
    for (const bar of shown) this.#stderr.write(`${this.#render(bar)}\n`);
    this.#drawnLines = shown.length;
  }

  get #hasBars(): boolean {
    return this.#streams.stderr.isTTY === true && this.#streams.environment?.['TERM'] !== 'dumb';
  }

  #render(bar: Bar): string {
    return barLine(bar, { nowMs: this.#streams.nowMs(), columns: this.#columns });
  }

  /** The terminal's own width; COLUMNS, which may be old, only makes it narrower. A terminal that does not know its width says 0. */
  get #columns(): number {
    const stated = Number(this.#streams.environment?.['COLUMNS']);
    const wanted = Number.isInteger(stated) && stated > 0 ? stated : undefined;
    const own = this.#streams.stderr.columns || wanted || USUAL_COLUMNS;
    return Math.min(own, wanted ?? own);
  }
}

function asLines(lines: string | readonly string[]): readonly string[] {
  return typeof lines === 'string' ? [lines] : lines;
}
