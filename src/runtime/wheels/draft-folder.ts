/**
 * A folder that is filled and then renamed into place. It holds gigabytes, so it is removed after a failure and after a signal that ends the process.
 * A killed process leaves its folder; the next process removes it.
 */
import { lstatSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { chmod, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { systemCode } from '../../lib/disk-errors.ts';
import { makeFolderSync } from '../../lib/make-folder.ts';

const ENDING = '.draft-';
/** A download writes all the time; one that is silent ends long before. */
const ABANDONED_MS = 15 * 60_000;
const TAKEN: ReadonlySet<string> = new Set(['ENOTEMPTY', 'EEXIST', 'ENOTDIR']);
/** Enough for several processes that replace it at once. */
const MOVES = 10;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGQUIT', 'SIGHUP'] as const;

export class DraftFolder implements AsyncDisposable {
  readonly path: string;
  readonly #target: string;

  /** @param target the folder that it becomes; its parent is made */
  constructor(target: string) {
    this.#target = target;
    makeFolderSync(dirname(target));
    removeAbandoned(target);
    // Before the folder is there: a signal is looked at only when this function has returned.
    for (const signal of SIGNALS) process.on(signal, this.#onSignal);
    this.path = mkdtempSync(`${target}${ENDING}`);
  }

  /** Replaces a folder that is there: a broken one, or that of a process that was faster. */
  async moveIntoPlace(): Promise<void> {
    // A temporary folder is its maker's alone; in an image somebody else runs the service.
    await chmod(this.path, 0o755);
    for (let tries = MOVES; !(await this.#move(tries > 1)); tries--);
  }

  /** @returns false where another folder has the name; it was moved away then */
  async #move(mayFail: boolean): Promise<boolean> {
    try {
      await rename(this.path, this.#target);
      return true;
    } catch (error) {
      if (!mayFail || !TAKEN.has(systemCode(error) ?? '')) throw error;
    }
    // Processes that have its files open keep them.
    const replaced = `${this.path}-replaced`;
    // Another process may be replacing it as well.
    await rename(this.#target, replaced).catch(() => undefined);
    await rm(replaced, { recursive: true, force: true });
    return false;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopListening();
    await rm(this.path, { recursive: true, force: true });
  }

  readonly #onSignal = (signal: NodeJS.Signals): void => {
    this.#stopListening();
    remove(this.path);
    // As if nobody had listened.
    if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
  };

  #stopListening(): void {
    for (const signal of SIGNALS) process.off(signal, this.#onSignal);
  }
}

/** A file may be made while its folder is emptied. */
function remove(folder: string): void {
  rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 20 });
}

function removeAbandoned(target: string): void {
  const parent = dirname(target);
  const beginning = `${basename(target)}${ENDING}`;
  for (const name of readdirSync(parent)) {
    if (!name.startsWith(beginning)) continue;
    const folder = join(parent, name);
    if (Date.now() - newestMs(folder) > ABANDONED_MS) remove(folder);
  }
}

/** When something in it was written last; now, if that cannot be read. */
function newestMs(folder: string): number {
  try {
    const paths = [folder, ...readdirSync(folder).map((name) => join(folder, name))];
    return Math.max(...paths.map((path) => lstatSync(path).mtimeMs));
  } catch {
    return Date.now();
  }
}
