/** A worker's entry in the list of workers. */
import { hostname } from 'node:os';
import { omitUndefined } from '../lib/omit-undefined.ts';
import type { JobProgress } from '../queue/prompt-queue.ts';
import type { WorkerRecord } from '../queue/side-data.ts';
import { VERSION } from '../version.ts';
import type { RecentWork } from './recent-work.ts';
import type { WorkerOptions } from './worker-contract.ts';

export interface WorkerState {
  readonly work: RecentWork;
  /** Of a job that is generated now. */
  readonly progress: JobProgress | undefined;
}

export function workerRecord(
  { pool, defaults, owner = `${hostname()}:${process.pid}` }: WorkerOptions,
  { work, progress }: WorkerState,
): WorkerRecord {
  const { models } = pool;
  const { images, seconds } = work.sums;
  const sizes = models.flatMap(({ id, facts }) => {
    if (facts === undefined) return [];
    const { widthPx = facts.defaultWidthPx, heightPx = facts.defaultHeightPx } = defaults;
    const steps = defaults.numInferenceSteps ?? facts.defaults['numInferenceSteps'];
    return [{ model: id, widthPx, heightPx, ...(typeof steps === 'number' ? { numInferenceSteps: steps } : {}) }];
  });
  return {
    id: owner,
    host: hostname(),
    pid: process.pid,
    version: VERSION,
    device: models.find(({ facts }) => facts !== undefined)?.facts?.device ?? '',
    models: models.map(({ id }) => id),
    ...omitUndefined({ loadedModel: pool.loadedModel }),
    takesUnnamed: models.some(({ takesUnnamed }) => takesUnnamed),
    ...progress,
    images5min: images,
    seconds5min: seconds,
    sizes,
    at: new Date(),
  };
}
