/** A time span as people read it: at most two units, whole ones from ten seconds. */
const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** `4.9 s`, `49 s`, `2 min 11 s`, `3 h 5 min`, `2 d 7 h`. */
export function durationText(ms: number): string {
  if (ms < 9.95 * SECOND_MS) return `${(Math.max(0, ms) / SECOND_MS).toFixed(1)} s`;
  const wholeMs = Math.round(ms / SECOND_MS) * SECOND_MS;
  if (wholeMs < MINUTE_MS) return `${wholeMs / SECOND_MS} s`;
  if (wholeMs < HOUR_MS) return twoUnits(wholeMs, [MINUTE_MS, 'min'], [SECOND_MS, 's']);
  if (wholeMs < DAY_MS) return twoUnits(wholeMs, [HOUR_MS, 'h'], [MINUTE_MS, 'min']);
  return twoUnits(wholeMs, [DAY_MS, 'd'], [HOUR_MS, 'h']);
}

type Unit = readonly [ms: number, name: string];

function twoUnits(ms: number, [largeMs, large]: Unit, [smallMs, small]: Unit): string {
  const rest = Math.floor((ms % largeMs) / smallMs);
  return `${Math.floor(ms / largeMs)} ${large}${rest === 0 ? '' : ` ${rest} ${small}`}`;
}
