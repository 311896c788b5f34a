/**
 * What the user sees: results on standard output, log lines and progress on standard error. On a terminal each picture at work has a bar
 * at the bottom; elsewhere progress is plain lines, one per quarter. This is the door that every text leaves through: each line is escaped here,
 * whoever made it, and a line ends only where the door ends it.
 */
import type { Writable } from 'node:stream';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { messageOf } from '../lib/disk-errors.ts';
import { cut, printable } from '../lib/foreign-text.ts';
import { OutputStream } from './output-stream.ts';

export interface ProgressUpdate {
  /** What is drawn: a prompt's id or a file name. */
  readonly label: string;
  readonly step: number;
  readonly steps: number;
  /** Which part of the work, where it is known. */
  readonly stage?: string;
  /** What `step` and `steps` count, where these are not steps. */
  readonly unit?: 'MB';
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

export interface FlushOptions {
  /** How long the reader of the results may take nothing before they are given up. */
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
const BAR_WIDTH = 24;
/** A redraw more often than this only costs time. */
const REDRAW_INTERVAL_MS = 80;
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

  /** Why results are missing on standard output, if any are. */
  get lostResults(): Text2ImgError | undefined {
    return this.#lostResults;
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

  /** A line for people, or several, for standard error. */
  line(lines: string | readonly string[]): void {
    this.#erase();
    for (const line of asLines(lines)) this.#stderr.write(`${printable(cut(line, LINE_LENGTH))}\n`);
    this.#draw();
  }

  /** Waits until what was written is read, or its readers have taken nothing for so long. */
  async flush({ resultsMs, linesMs }: FlushOptions): Promise<void> {
    await this.#stdout.flush(resultsMs);
    await this.#stderr.flush(linesMs);
  }

  #resultsAreLost(reason: string): void {
    if (this.#lostResults !== undefined) return;
    this.#lostResults = new Text2ImgError('output_lost', `results are missing on standard output: ${reason}.`);
    this.line(`text2img: ${this.#lostResults.message} [${this.#lostResults.code}]`);
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
    this.#stderr.write(`${printable(cut(update.label, LABEL_LENGTH))}: ${progressText(update)}\n`);
  }

  /** The picture `key` has ended; its last bar stays above as a line. */
  endProgress(key: string): void {
    const bar = this.#bars.get(key);
    if (bar === undefined) return;
    this.#erase();
    this.#bars.delete(key);
    if (this.#streams.stderr.isTTY) this.#stderr.write(`${this.#render(bar)}\n`);
    this.#draw();
  }

  [Symbol.dispose](): void {
    for (const key of this.#bars.keys()) this.endProgress(key);
  }

  #erase(): void {
    if (this.#drawnLines === 0) return;
    this.#stderr.write(`${`${LINE_UP}${ERASE_LINE}`.repeat(this.#drawnLines)}\r`);
    this.#drawnLines = 0;
  }

  #draw(): void {
    if (!this.#streams.stderr.isTTY || this.#bars.size === 0) return;
    this.#lastDrawMs = this.#streams.nowMs();
    for (const bar of this.#bars.values()) this.#stderr.write(`${this.#render(bar)}\n`);
    this.#drawnLines = this.#bars.size;
  }

  #render({ label, step, steps, stage, unit, startedMs }: Bar): string {
    const filled = Math.min(BAR_WIDTH, Math.round((BAR_WIDTH * step) / steps));
    const seconds = ((this.#streams.nowMs() - startedMs) / 1000).toFixed(1);
    const facts =
      `[${'█'.repeat(filled)}${'░'.repeat(BAR_WIDTH - filled)}] ${String(step).padStart(String(steps).length)}/${steps}${unit === undefined ? '' : ` ${unit}`} ${seconds} s ${printable(stage ?? '')}`.trimEnd();
    // A wrapped line would break the count of lines to erase.
    const room = Math.max(8, (this.#streams.stderr.columns ?? 80) - facts.length - 2);
    return `${cut(printable(cut(label, LABEL_LENGTH)), room).padEnd(Math.min(28, room))} ${facts}`.slice(
      0,
      (this.#streams.stderr.columns ?? 80) - 1,
    );
  }
}

/** `denoise, step 3 of 20`, or `40 of 1200 MB`. */
function progressText({ step, steps, stage, unit }: ProgressUpdate): string {
  const begin = stage === undefined ? '' : `${printable(stage)}, `;
  return unit === undefined ? `${begin}step ${step} of ${steps}` : `${begin}${step} of ${steps} ${unit}`;
}

function asLines(lines: string | readonly string[]): readonly string[] {
  return typeof lines === 'string' ? [lines] : lines;
}
