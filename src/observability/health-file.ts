/**
 * The health file: its age says that a worker's loop turns. The loop itself touches it. A timer beside the loop would go on when the loop is stuck.
 * Only while the model loads, which is one long wait, does a timer touch it, for a bounded time. A worker that stops removes its own file.
 */
import { type Stats, statSync } from 'node:fs';
import { readFile, unlink, writeFile } from 'node:fs/promises';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { quote } from '../lib/foreign-text.ts';
import { pause } from '../lib/pause.ts';
import { isThisWorker, thisWorker, workerIn } from './health-worker.ts';
import { foreignErrorFields } from './error-fields.ts';
import type { Logger } from './logger.ts';

/** The reason why the worker cannot claim jobs; `text2img health` reads it. */
export interface HealthTrouble {
  readonly source: string;
  readonly code: string;
  readonly message: string;
  readonly since: Date;
}

/** One engine of several; `text2img health` reads it. */
export interface HealthEngine {
  readonly engine: string;
  /** Undefined before its first start is done. */
  readonly device: string | undefined;
  /** Why it cannot be used while the others can; null: it can. */
  readonly problem: string | null;
}

/** `starting`: finds, downloads or loads the model. `blocked`: something keeps it from claiming. */
type HealthState = 'starting' | 'running' | 'blocked';

/** Often enough for any check, seldom enough not to be noticed. */
const INTERVAL_MS = 5000;
/** A disk that hangs holds up no stop. */
const REMOVE_MS = 1000;

export class HealthFile implements AsyncDisposable {
  readonly #path: string | undefined;
  readonly #logger: Logger;
  readonly #worker = thisWorker();
  #lastMs = -Infinity;
  #lastSaid = '';
  #isClosed = false;
  #engines: () => readonly HealthEngine[] = () => [];
  /** One after the other: two at once would mix their bytes. */
  #writing: Promise<void> = Promise.resolve();

  /** @param path undefined: nobody asks @throws `invalid_option` when something else than a plain file is there */
  constructor(path: string | undefined, logger: Logger) {
    if (path !== undefined) refuseOtherThanFile(path);
    this.#path = path;
    this.#logger = logger;
  }

  /** From now on the file lists these. One engine is not listed: its problem is the worker's. */
  listEngines(engines: () => readonly HealthEngine[]): void {
    this.#engines = engines;
  }

  /** The loop turns. Cheap enough to be called at every turn. */
  touch(trouble?: HealthTrouble): void {
    this.#touch(trouble === undefined ? 'running' : 'blocked', trouble);
  }

  /** The model is not there yet. */
  starting(): void {
    this.#touch('starting');
  }

  /** Touches it until disposed, but not for longer than `atMostMs`. */
  whileStarting(atMostMs: number): Disposable {
    const endMs = performance.now() + atMostMs;
    this.starting();
    const timer = setInterval(() => {
      if (performance.now() < endMs) this.starting();
    }, INTERVAL_MS);
    timer.unref();
    return { [Symbol.dispose]: () => clearInterval(timer) };
  }

  /** Touches it until disposed. Of a process that only answers requests: there is no loop but the one that runs timers. */
  whileServing(): Disposable {
    this.touch();
    const timer = setInterval(() => this.touch(), INTERVAL_MS);
    timer.unref();
    return { [Symbol.dispose]: () => clearInterval(timer) };
  }

  /** Removes the file, unless another worker has written it since. Can be called twice. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const path = this.#path;
    if (path === undefined) return;
    await Promise.race([this.#writing.then(() => removeOwn(path)).catch(() => undefined), pause(REMOVE_MS)]);
  }

  #touch(state: HealthState, trouble?: HealthTrouble): void {
    if (this.#path === undefined || this.#isClosed) return;
    const now = performance.now();
    const engines = this.#engines();
    const said = [state, trouble?.message, ...engines.map(({ problem }) => problem)].join(' ');
    if (said === this.#lastSaid && now - this.#lastMs < INTERVAL_MS) return;
    this.#lastMs = now;
    this.#lastSaid = said;
    const content = {
      at: new Date(),
      state,
      ...this.#worker,
      trouble: trouble ?? null,
      ...(engines.length > 1 ? { engines } : {}),
    };
    this.#writing = this.#writing.then(() => this.#write(`${JSON.stringify(content)}\n`));
  }

  /** Never rejects: a health file that cannot be written must not stop the worker. */
  async #write(text: string): Promise<void> {
    try {
      if (this.#path !== undefined) await writeFile(this.#path, text);
    } catch (error) {
      this.#logger.repeated('the health file cannot be written', {
        file: this.#path,
        error: foreignErrorFields(error),
      });
    }
  }
}

async function removeOwn(path: string): Promise<void> {
  const content: unknown = JSON.parse(await readFile(path, 'utf8'));
  if (isThisWorker(workerIn(content))) await unlink(path);
}

/** A folder could never be touched, and opening a pipe without a reader would block. */
function refuseOtherThanFile(path: string): void {
  const facts = lookAt(path);
  if (facts === undefined || facts.isFile()) return;
  throw new Text2ImgError(
    'invalid_option',
    `--heartbeat-file ${quote(path)} is ${facts.isDirectory() ? 'a folder' : 'no plain file'}; it must be a file.`,
  );
}

/** Undefined also where the path cannot be examined: the error is reported when the file cannot be written. */
function lookAt(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}
