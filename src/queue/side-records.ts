/** Reads side data as far as it can be believed: other programs can write it too. Shared by both queues. None of this throws. */
import { isRecord, own } from '../lib/foreign-record.ts';
import { cut } from '../lib/foreign-text.ts';
import { omitUndefined } from '../lib/omit-undefined.ts';
import type { RequestStop, WorkerRecord, WorkerSize } from './side-data.ts';

const MAX_TEXT_LENGTH = 1000;
/** More than a worker can claim at once. */
const MAX_MODELS = 1000;
const MAX_SIZES = 10_000;
/** More than one request can ask for. */
const MAX_PROMPT_IDS = 10_000;

/** The parts of a name, so that no part can run into the next one. */
export function sideKey(...parts: readonly string[]): string {
  return parts.map((part) => encodeURIComponent(part.toWellFormed())).join('/');
}

/** All keys that begin with these parts and have more. */
export function sideRange(...parts: readonly string[]): { readonly from: string; readonly before: string } {
  const prefix = sideKey(...parts);
  // "0" comes right behind "/".
  return { from: `${prefix}/`, before: `${prefix}0` };
}

export function textsOf(value: unknown, most = MAX_PROMPT_IDS): readonly string[] {
  return Array.isArray(value) ? value.filter((one) => typeof one === 'string').slice(0, most) : [];
}

/** Undefined for any other value. */
export function requestStopOf(value: unknown): RequestStop | undefined {
  return value === 'interrupted' || value === 'skipped' ? value : undefined;
}

/** Undefined where the value is no JSON. */
export function parsedJson(value: unknown): unknown {
  if (typeof value !== 'string') return undefined;
  try {
    return JSON.parse(value);
  } catch {
    return undefined;
  }
}

/** The text that is kept of a worker; the queue says itself when. */
export function workerText(worker: WorkerRecord): string {
  return JSON.stringify({ ...worker, at: undefined });
}

/** Undefined if the text is not of a worker. @param at of its last beat */
export function workerOf(recordText: unknown, at: Date): WorkerRecord | undefined {
  const value = parsedJson(recordText);
  if (!isRecord(value)) return undefined;
  const text = (name: string): string => textIn(value, name) ?? '';
  const number = (name: string): number => numberIn(value, name) ?? 0;
  const id = textIn(value, 'id');
  if (id === undefined) return undefined;
  return {
    id,
    host: text('host'),
    pid: number('pid'),
    version: text('version'),
    device: text('device'),
    models: textsOf(own(value, 'models'), MAX_MODELS).map((model) => cut(model, MAX_TEXT_LENGTH)),
    takesUnnamed: own(value, 'takesUnnamed') === true,
    images5min: number('images5min'),
    seconds5min: number('seconds5min'),
    ...omitUndefined({
      loadedModel: textIn(value, 'loadedModel'),
      isLoading: own(value, 'isLoading') === true ? true : undefined,
      step: numberIn(value, 'step'),
      steps: numberIn(value, 'steps'),
      sizes: sizesOf(own(value, 'sizes')),
    }),
    at,
  };
}

/** Sorted, each once. A worker that never came to load its model, as after a typing error, counts for nothing. */
export function modelsOf(workers: readonly WorkerRecord[]): readonly string[] {
  const models = workers
    .filter(({ isLoading }) => isLoading !== true)
    .flatMap((worker) => [...worker.models, ...[worker.loadedModel ?? []].flat()]);
  return [...new Set(models)].toSorted();
}

function sizesOf(value: unknown): readonly WorkerSize[] | undefined {
  if (!Array.isArray(value)) return undefined;
  return value.slice(0, MAX_SIZES).flatMap((one: unknown) => {
    if (!isRecord(one)) return [];
    const [model, widthPx, heightPx] = [textIn(one, 'model'), numberIn(one, 'widthPx'), numberIn(one, 'heightPx')];
    if (model === undefined || widthPx === undefined || heightPx === undefined) return [];
    return [{ model, widthPx, heightPx, ...omitUndefined({ numInferenceSteps: numberIn(one, 'numInferenceSteps') }) }];
  });
}

function textIn(record: Readonly<Record<string, unknown>>, name: string): string | undefined {
  const value = own(record, name);
  return typeof value === 'string' ? cut(value, MAX_TEXT_LENGTH) : undefined;
}

function numberIn(record: Readonly<Record<string, unknown>>, name: string): number | undefined {
  const value = own(record, name);
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}
