/** A worker's entry in the list of workers. */
import { hostname } from 'node:os';
import { omitUndefined } from '../lib/omit-undefined.ts';
import type { JobProgress, ModelSelection } from '../queue/prompt-queue.ts';
import type { WorkerRecord } from '../queue/side-data.ts';
import { VERSION } from '../version.ts';
import type { RecentWork } from './recent-work.ts';
import type { WorkerOptions } from './worker-contract.ts';

export interface WorkerState {
  readonly work: RecentWork;
  /** Of a job that is generated now. */
  readonly progress: JobProgress | undefined;
}

/** Of a worker that has not loaded a model yet. */
export function loadingRecord({
  owner,
  models,
}: Pick<WorkerOptions, 'owner'> & { readonly models: ModelSelection }): WorkerRecord {
  return {
    ...machineOf(owner),
    device: '',
    models: models.named,
    takesUnnamed: models.takesUnnamed,
    isLoading: true,
    images5min: 0,
    seconds5min: 0,
    at: new Date(),
  };
}

/** A worker is the same one in all its records. */
function machineOf(owner: string | undefined): Pick<WorkerRecord, 'id' | 'host' | 'pid' | 'version'> {
  const host = hostname();
  return { id: owner ?? `${host}:${process.pid}`, host, pid: process.pid, version: VERSION };
}

export function workerRecord({ pool, defaults, owner }: WorkerOptions, { work, progress }: WorkerState): WorkerRecord {
  const { models } = pool;
  const { images, seconds } = work.sums;
  const sizes = models.flatMap(({ id, facts }) => {
    if (facts === undefined) return [];
    const { widthPx = facts.defaultWidthPx, heightPx = facts.defaultHeightPx } = defaults;
    const steps = defaults.numInferenceSteps ?? facts.defaults['numInferenceSteps'];
    return [{ model: id, widthPx, heightPx, ...(typeof steps === 'number' ? { numInferenceSteps: steps } : {}) }];
  });
  return {
    ...machineOf(owner),
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
