/** Progress as text: a bar with rate and time left that fits into the terminal's width, and the plain line for everything else. */
import { durationText } from '../lib/duration-text.ts';
import { printable } from '../lib/foreign-text.ts';

export interface Progress {
  /** The item at work: a job's id, a file or a model. */
  readonly label: string;
  readonly step: number;
  readonly steps: number;
  /** Which part of the work, where it is known. */
  readonly stage?: string;
  /** The unit of `step` and `steps`; without it, denoising steps. */
  readonly unit?: 'bytes';
}

/** From when and where the rate counts, and until when. */
export interface Begin {
  readonly startedMs: number;
  readonly firstStep: number;
  /** When the present step was reached. */
  readonly reachedMs: number;
}

const MEGABYTE = 1_000_000;
/** A download below this is shown with one decimal. */
const SMALL_BYTES = 10 * MEGABYTE;
const BAR_WIDTHS = { least: 8, most: 24 } as const;
/** Room for an ObjectId. */
const LABEL_WIDTH = 24;
/** Room for `1200/4300 MB, 12.5 MB/s, ETA 2 min 11 s`, so that bars below each other have one width. */
const FACTS_WIDTH = 39;
const LEAST_LABEL_WIDTH = 8;

/** `7: step 15 of 20, 3.1 it/s, ETA 2 s`, or `owner/name: 6 of 21 MB, 4.0 MB/s, ETA 4 s`. */
export function plainLine(progress: Progress & Begin, nowMs: number): string {
  const { step, steps, unit } = progress;
  const count =
    unit === undefined ? `step ${step} of ${steps}` : `${megabytes(step, steps)} of ${megabytes(steps, steps)} MB`;
  return `${printable(progress.label)}: ${[count, ...paceOf(progress, nowMs)].join(', ')}`;
}

/** One row that is narrower than the terminal: whole facts are left out until it fits; only the label is cut. */
export function barLine(progress: Progress & Begin, { nowMs, columns }: { nowMs: number; columns: number }): string {
  const room = columns - 1;
  const { step, steps, unit } = progress;
  const count =
    unit === undefined
      ? `${String(step).padStart(String(steps).length)}/${steps}`
      : `${megabytes(step, steps)}/${megabytes(steps, steps)} MB`;
  const pace = paceOf(progress, nowMs);
  const facts = [count, ...pace].join(', ');
  const bar = barOf(progress, {
    wished: room - LABEL_WIDTH - FACTS_WIDTH - 4,
    most: room - LABEL_WIDTH - facts.length - 4,
  });
  if (bar !== undefined) return `${padded(progress.label, LABEL_WIDTH)} ${bar} ${facts}`;
  const last = pace.at(-1);
  const shorter = [facts, ...(last === undefined ? [] : [`${count}, ${last}`]), count];
  for (const text of shorter) {
    const labelRoom = Math.min(LABEL_WIDTH, room - text.length - 1);
    if (labelRoom >= LEAST_LABEL_WIDTH) return `${padded(progress.label, labelRoom)} ${text}`;
  }
  const percent = `${Math.floor((100 * step) / steps)} %`;
  return [count, percent].find((text) => text.length <= room) ?? '';
}

/** While it works rate and time left; where these say nothing the stage; at the end the rate and the time taken. */
function paceOf(progress: Progress & Begin, nowMs: number): string[] {
  const { step, steps, stage, unit, startedMs, firstStep, reachedMs } = progress;
  const elapsedMs = nowMs - startedMs;
  // Between two steps a rate would only sink, and what follows the last one is no step. A download may stand still.
  const countedMs = unit === undefined || step >= steps ? reachedMs - startedMs : elapsedMs;
  const perMs = countedMs > 0 && step > firstStep ? (step - firstStep) / countedMs : undefined;
  const rate = perMs === undefined ? [] : [rateText(perMs * 1000, unit)];
  if (step >= steps) return [...rate, durationText(elapsedMs)];
  if (perMs === undefined) return stage === undefined ? [] : [printable(stage)];
  return [...rate, `ETA ${durationText((steps - step) / perMs)}`];
}

function rateText(perSecond: number, unit: Progress['unit']): string {
  if (unit === 'bytes') return `${digits(perSecond / MEGABYTE)} MB/s`;
  return perSecond >= 1 ? `${digits(perSecond)} it/s` : `${digits(1 / perSecond)} s/it`;
}

function digits(value: number): string {
  return value.toFixed(value < 9.95 ? 1 : 0);
}

function megabytes(bytes: number, ofBytes: number): string {
  return (bytes / MEGABYTE).toFixed(ofBytes < SMALL_BYTES ? 1 : 0);
}

/** @returns undefined where there is no room for one */
function barOf({ step, steps }: Progress, { wished, most }: { wished: number; most: number }): string | undefined {
  if (most < BAR_WIDTHS.least) return undefined;
  const width = Math.min(most, Math.max(BAR_WIDTHS.least, Math.min(wished, BAR_WIDTHS.most)));
  const filled = Math.max(0, Math.min(width, Math.round((width * step) / steps)));
  return `[${'█'.repeat(filled)}${'░'.repeat(width - filled)}]`;
}

/** Escaped, and exactly `width` columns. */
function padded(label: string, width: number): string {
  const text = printable(label);
  const whole = widthOf(text);
  if (whole <= width) return text + ' '.repeat(width - whole);
  let kept = '';
  let keptWidth = 0;
  for (const character of text) {
    if (keptWidth + widthOf(character) > width - 1) break;
    kept += character;
    keptWidth += widthOf(character);
  }
  return `${kept}…${' '.repeat(width - 1 - keptWidth)}`;
}

/** The most columns that a terminal needs for it: a row that wraps would stay on the screen. */
function widthOf(text: string): number {
  let width = 0;
  for (const character of text) width += (character.codePointAt(0) ?? 0) < 0x1100 ? 1 : 2;
  return width;
}
