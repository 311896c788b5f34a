/**
 * The file of `--log-file`. When its name leads to another file (logrotate), that one is written. After a failed write the next attempt is a
 * minute later, or at once when another file stands there. Missing lines are counted. Nothing here waits for a reader or stops the work.
 */
import { closeSync, constants, fstatSync, openSync, statSync, type Stats, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { messageOf, systemCode } from '../lib/disk-errors.ts';
import { quote } from '../lib/foreign-text.ts';
import { makeFolderSync } from '../lib/make-folder.ts';

const RETRY_MS = 60_000;
/** Less what the process's umask takes away; what exists keeps its mode. */
const FILE_MODE = 0o640;
const FOLDER_MODE = 0o750;
/** A pipe that nobody reads is refused instead of waited for. */
const FLAGS = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | (constants.O_NONBLOCK ?? 0);

export interface LogFileOptions {
  readonly now: () => Date;
  /** Once when writing begins to fail. */
  readonly onTrouble: (reason: string) => void;
  /** When it works again, with the number of lines that are missing. */
  readonly onMended: (missingLines: number) => void;
}

export class LogFile implements Disposable {
  readonly #path: string;
  readonly #options: LogFileOptions;
  #handle: number | undefined;
  /** The file that the name led to when it was opened, or tried, last; undefined: none. */
  #identity: string | undefined;
  #failedAtMs: number | undefined;
  #missingLines = 0;
  /** Part of a line was written before a write failed. */
  #isTorn = false;
  #isTroubleSaid = false;
  #isClosed = false;

  /** Makes the folder. @throws `invalid_option` when the file cannot be opened */
  constructor(path: string, options: LogFileOptions) {
    this.#path = path;
    this.#options = options;
    try {
      makeFolderSync(dirname(path), { mode: FOLDER_MODE });
      this.#open();
    } catch (error) {
      throw new Text2ImgError('invalid_option', `--log-file ${quote(path)} cannot be written: ${reasonOf(error)}.`, {
        cause: error,
      });
    }
  }

  /** @param line with its end. Synchronous, so that the last lines before a crash or an exit are in the file. */
  write(line: string): void {
    if (this.#isClosed) return;
    this.#follow();
    if (this.#handle === undefined) {
      this.#missingLines++;
      return;
    }
    try {
      writeWhole(this.#handle, this.#isTorn ? `\n${line}` : line, () => (this.#isTorn = true));
      this.#isTorn = false;
      this.#mended();
    } catch (error) {
      this.#failed(error);
    }
  }

  [Symbol.dispose](): void {
    this.#isClosed = true;
    this.#close();
  }

  /** Opens the name anew when it leads to another file, or when the last failure is long enough ago. */
  #follow(): void {
    const identity = identityOfName(this.#path);
    const isDue = this.#failedAtMs !== undefined && this.#nowMs() - this.#failedAtMs >= RETRY_MS;
    if (identity === this.#identity && !isDue) return;
    const before = this.#handle;
    try {
      this.#open();
      if (before !== undefined) closeSync(before);
    } catch {
      // The file that was renamed is still better than none.
      this.#identity = identity;
      this.#failedAtMs = this.#nowMs();
    }
  }

  #open(): void {
    this.#handle = openSync(this.#path, FLAGS, FILE_MODE);
    this.#identity = identityOf(fstatSync(this.#handle));
    this.#failedAtMs = undefined;
    this.#isTorn = false;
  }

  #mended(): void {
    const missing = this.#missingLines;
    this.#missingLines = 0;
    this.#isTroubleSaid = false;
    if (missing > 0) this.#options.onMended(missing);
  }

  #failed(error: unknown): void {
    this.#missingLines++;
    // A full pipe is read again in a moment.
    if (systemCode(error) === 'EAGAIN') return;
    this.#close();
    this.#failedAtMs = this.#nowMs();
    // A full disk must not stop the worker, and the lines are still on standard error.
    if (this.#isTroubleSaid) return;
    this.#isTroubleSaid = true;
    this.#options.onTrouble(reasonOf(error));
  }

  #close(): void {
    if (this.#handle !== undefined) closeSync(this.#handle);
    this.#handle = undefined;
  }

  #nowMs(): number {
    return this.#options.now().getTime();
  }
}

/** A write may take a part only; the next one says why. */
function writeWhole(handle: number, line: string, onPart: () => void): void {
  const bytes = Buffer.from(line);
  for (let written = 0; written < bytes.length; ) {
    const count = writeSync(handle, bytes, written);
    if (count === 0) throw new Error('nothing more can be written');
    written += count;
    onPart();
  }
}

/** Undefined where there is no file, or none that may be looked at. */
function identityOfName(path: string): string | undefined {
  try {
    return identityOf(statSync(path));
  } catch {
    return undefined;
  }
}

function identityOf({ dev, ino }: Stats): string {
  return `${dev}:${ino}`;
}

function reasonOf(error: unknown): string {
  return systemCode(error) === 'ENXIO' ? 'nobody reads this pipe or socket' : messageOf(error);
}
