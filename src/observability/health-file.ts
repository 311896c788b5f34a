/**
 * The health file: its age says that a worker's loop turns. It is touched by the loop itself, never by a timer beside it, which would go on when the
 * loop is stuck; only while the model loads, which is one long wait, a timer does it, for a bounded time.
 */
import { type Stats, statSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { quote } from '../lib/foreign-text.ts';
import type { Logger } from './logger.ts';

/** What keeps the worker from claiming; `text2img health` reads it. */
export interface HealthTrouble {
  readonly source: string;
  readonly code: string;
  readonly message: string;
  readonly since: Date;
}

/** Often enough for any check, seldom enough not to be noticed. */
const INTERVAL_MS = 5000;

export class HealthFile {
  readonly #path: string | undefined;
  readonly #logger: Logger;
  #lastMs = -Infinity;
  #lastTrouble = '';
  #hasWarned = false;

  /** @param path undefined: nobody asks @throws `invalid_option` when something else than a plain file is there */
  constructor(path: string | undefined, logger: Logger) {
    if (path !== undefined) refuseOtherThanFile(path);
    this.#path = path;
    this.#logger = logger;
  }

  /** The loop turns. Cheap enough to be called at every turn. */
  touch(trouble?: HealthTrouble): void {
    const now = performance.now();
    if (this.#path === undefined) return;
    const hasChanged = this.#lastTrouble !== (trouble?.message ?? '');
    if (!hasChanged && now - this.#lastMs < INTERVAL_MS) return;
    this.#lastMs = now;
    this.#lastTrouble = trouble?.message ?? '';
    // A health file that cannot be written must not stop the drawing.
    writeFile(this.#path, `${JSON.stringify({ at: new Date(), trouble: trouble ?? null })}\n`).catch((error: Error) => {
      if (this.#hasWarned) return;
      this.#hasWarned = true;
      this.#logger.warning('the health file cannot be written', { file: this.#path, reason: error.message });
    });
  }

  /** Touches it until disposed, but not for longer than `atMostMs`. */
  whileWaiting(atMostMs: number): Disposable {
    const endMs = performance.now() + atMostMs;
    this.touch();
    const timer = setInterval(() => {
      if (performance.now() < endMs) this.touch();
    }, INTERVAL_MS);
    timer.unref();
    return { [Symbol.dispose]: () => clearInterval(timer) };
  }
}

/** A folder could never be touched, and a pipe without a reader would hold whoever opens it. */
function refuseOtherThanFile(path: string): void {
  const facts = lookAt(path);
  if (facts === undefined || facts.isFile()) return;
  throw new Text2ImgError(
    'invalid_option',
    `--heartbeat-file ${quote(path)} is ${facts.isDirectory() ? 'a folder' : 'no plain file'}; it must be a file.`,
  );
}

/** What cannot be looked at is reported when it cannot be written. */
function lookAt(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}
