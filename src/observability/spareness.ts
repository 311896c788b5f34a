/** Which lines about one lasting trouble are written: the first one, then one a minute. */
import { isRecord } from '../lib/foreign-record.ts';

const INTERVAL_MS = 60_000;

interface Said {
  atMs: number;
  leftOut: number;
}

export class Spareness {
  readonly #nowMs: () => number;
  /** By code, or by message where there is none: both are constants in our code, so there are few. */
  readonly #said = new Map<string, Said>();

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** A line that is always written speaks for its error, too. */
  note(level: string, error: unknown): void {
    if (level !== 'error' || codeOf(error) === undefined) return;
    this.#said.set(codeOf(error) ?? '', { atMs: this.#nowMs(), leftOut: 0 });
  }

  /** @returns how many lines were left out before this one; undefined: this one is left out, too */
  leftOut(message: string, error: unknown): number | undefined {
    const key = codeOf(error) ?? message;
    const said = this.#said.get(key);
    if (said !== undefined && this.#nowMs() - said.atMs < INTERVAL_MS) {
      said.leftOut++;
      return undefined;
    }
    this.#said.set(key, { atMs: this.#nowMs(), leftOut: 0 });
    return said?.leftOut ?? 0;
  }
}

function codeOf(error: unknown): string | undefined {
  const code = isRecord(error) ? error['code'] : undefined;
  return typeof code === 'string' ? code : undefined;
}
