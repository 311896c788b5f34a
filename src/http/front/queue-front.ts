/** The front over a queue and a store: adds documents, waits for their ends, and finds their images. */
import { randomBytes } from 'node:crypto';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { promptIdText } from '../../job/document-id.ts';
import { parsePromptDocument } from '../../job/prompt-document.ts';
import { quote } from '../../lib/foreign-text.ts';
import type { Logger } from '../../observability/logger.ts';
import type { JobSummary, ListedJob, ListOptions, PromptQueue } from '../../queue/prompt-queue.ts';
import type { ImageStore } from '../../storage/image-store.ts';
import type { Caller } from './caller.ts';
import { endedJob, hasEnded } from './ended-job.ts';
import type {
  Created,
  CreateOptions,
  EndedJob,
  Estimate,
  Front,
  JobEvent,
  KeptSettings,
  NewPrompt,
  Preview,
  StoredImage,
  WaitOptions,
} from './front.ts';
import { type FrontLimits, limitsFor } from './limits.ts';
import type { ModelDirectory } from './model-directory.ts';
import { storedImages } from './stored-images.ts';

export interface QueueFrontOptions {
  readonly queue: PromptQueue;
  readonly store: ImageStore;
  /** The images' names begin with it. */
  readonly objectPrefix: string;
  readonly models: ModelDirectory;
  readonly limits: FrontLimits;
  /** How long a request waits for its job. */
  readonly waitTimeoutMs: number;
  readonly logger: Logger;
  /** Aborted: waits end with `shutting_down`. */
  readonly ending: AbortSignal;
}

/** The service writes them. */
const OWN_FIELDS = ['_id', 'job', 'status'] as const;
const POLL_MS = 100;

export class QueueFront implements Front {
  readonly models: ModelDirectory;
  readonly settings: KeptSettings;
  readonly #options: QueueFrontOptions;

  constructor(options: QueueFrontOptions) {
    this.#options = options;
    this.models = options.models;
    this.settings = options.queue.sideData.settings;
  }

  async create(caller: Caller, prompts: readonly NewPrompt[], _options: CreateOptions): Promise<Created> {
    const { queue, limits } = this.#options;
    for (const { document } of prompts) {
      for (const name of OWN_FIELDS)
        if (Object.hasOwn(document, name))
          throw new Text2ImgError('invalid_document', `The field ${quote(name)} is the service’s own; leave it out.`);
      parsePromptDocument(document, limitsFor(limits, caller.key?.limits));
    }
    const ids = prompts.map(() => randomBytes(12).toString('hex'));
    const added = await queue.enqueue(
      prompts.map(({ document }, index) => ({ ...document, _id: { $oid: ids[index] } })),
      { nameOf: (index) => (prompts.length === 1 ? 'The prompt' : `Prompt ${index + 1}`) },
    );
    return { ids: added.map(promptIdText), isRepeat: false, warnings: [] };
  }

  async wait(caller: Caller, ids: readonly string[], options: WaitOptions = {}): Promise<readonly EndedJob[]> {
    const { waitTimeoutMs } = this.#options;
    const { timeoutMs = waitTimeoutMs, onEvent } = options;
    const endMs = performance.now() + timeoutMs;
    const seen = new Map<string, string>();
    for (;;) {
      const jobs = await Promise.all(ids.map((id) => this.show(caller, id)));
      for (const job of jobs) for (const event of eventsOf(job, seen)) onEvent?.(event);
      if (jobs.every(hasEnded)) return jobs.map(endedJob);
      if (caller.gone.aborted) throw new Text2ImgError('client_disconnected', 'The client closed the connection.');
      if (this.#options.ending.aborted) throw new Text2ImgError('shutting_down', 'The server is shutting down.');
      if (performance.now() > endMs)
        throw new Text2ImgError('wait_timeout', `The job ${quote(ids[0])} has not ended after ${timeoutMs / 1000} s.`);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  async show(_caller: Caller, id: string): Promise<JobSummary> {
    const job = await this.#options.queue.show(id);
    if (job === undefined) throw noSuchJob(id);
    return job;
  }

  async list(_caller: Caller, options: ListOptions): Promise<readonly ListedJob[]> {
    return this.#options.queue.list(options);
  }

  async cancel(_caller: Caller, id: string): Promise<boolean> {
    return known(id, await this.#options.queue.cancel(id));
  }

  async retry(_caller: Caller, id: string): Promise<boolean> {
    return known(id, await this.#options.queue.retry(id));
  }

  async remove(caller: Caller, id: string): Promise<void> {
    const job = await this.show(caller, id);
    if (!hasEnded(job)) throw new Text2ImgError('wrong_job_state', `The job ${quote(id)} has not ended; cancel it.`);
    throw new Text2ImgError('not_implemented', 'This server cannot delete jobs yet.');
  }

  async images(caller: Caller, id: string): Promise<readonly StoredImage[]> {
    return storedImages(await this.show(caller, id), this.#options);
  }

  async estimateMs(_id: string): Promise<Estimate | undefined> {
    return undefined;
  }

  async preview(caller: Caller, id: string): Promise<Preview | undefined> {
    await this.show(caller, id);
    return undefined;
  }
}

/** The news about a job. @param seen status and step of each job as they were last reported */
function eventsOf(job: JobSummary, seen: Map<string, string>): readonly JobEvent[] {
  const { id, status, progress } = job;
  const key = `${status} ${progress?.step ?? ''}`;
  const before = seen.get(id);
  if (before === key) return [];
  seen.set(id, key);
  if (hasEnded(job)) return [{ type: status === 'completed' ? 'completed' : 'error', job: endedJob(job) }];
  const isNewStatus = before?.split(' ')[0] !== status;
  return [
    ...(isNewStatus ? [{ type: 'status', id, status } as const] : []),
    ...(progress === undefined ? [] : [{ type: 'progress', id, ...progress } as const]),
  ];
}

function known(id: string, outcome: boolean | undefined): boolean {
  if (outcome === undefined) throw noSuchJob(id);
  return outcome;
}

function noSuchJob(id: string): Text2ImgError {
  return new Text2ImgError('not_found', `There is no job ${quote(id)}.`);
}
