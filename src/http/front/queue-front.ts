/** The front over a queue and a store: adds documents once, waits for their ends, and finds their images. */
import { randomBytes } from 'node:crypto';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { quote } from '../../lib/foreign-text.ts';
import type { Logger } from '../../observability/logger.ts';
import { DeadlineSweeps } from '../../queue/deadline-sweeps.ts';
import type { FollowedJob, JobSummary, ListedPage, ListOptions, PromptQueue } from '../../queue/prompt-queue.ts';
import type { SideData } from '../../queue/side-data.ts';
import type { ImageStore } from '../../storage/image-store.ts';
import { Admission } from './admission.ts';
import { Adoption, type Held } from './adoption.ts';
import type { Caller } from './caller.ts';
import { checkPrompts } from './check-prompts.ts';
import type {
  Created,
  CreateOptions,
  EndedJob,
  Estimate,
  Front,
  KeptSettings,
  NewPrompt,
  Preview,
  StoredImage,
  WaitOptions,
} from './front.ts';
import type { KnownWorkers } from './known-workers.ts';
import type { FrontLimits } from './limits.ts';
import { CANCELLED_DOORS, LostRequests } from './lost-requests.ts';
import type { ModelDirectory } from './model-directory.ts';
import { checkThere } from './own-job.ts';
import { removeJob } from './remove-job.ts';
import { checkIdempotencyKey, hashOfBody, orphanKeyOf, recordIdOf } from './repeats.ts';
import { storedImages } from './stored-images.ts';
import { waitForJobs } from './wait-for-jobs.ts';
import { Waiters } from './waiters.ts';
import { WatchMarks } from './watch-marks.ts';

export interface QueueFrontOptions {
  readonly queue: PromptQueue;
  readonly store: ImageStore;
  /** The images' names begin with it. */
  readonly objectPrefix: string;
  readonly models: ModelDirectory;
  readonly workers: KnownWorkers;
  /** Whether a worker takes jobs of this model; undefined: nobody knows. Default: what the workers say. */
  readonly hasWorker?: (model: string) => boolean | undefined;
  readonly limits: FrontLimits;
  /** How long a request waits for its job. */
  readonly waitTimeoutMs: number;
  /** How long a job may wait for the first worker that has its model. */
  readonly noWorkerTimeoutMs: number;
  /** Until a job that its client left is cancelled. Default: 15 seconds. */
  readonly cancelLostAfterMs?: number;
  readonly logger: Logger;
  /** Aborted: waits end with `shutting_down`. */
  readonly ending: AbortSignal;
}

const CANCEL_LOST_MS = 15_000;
/** So far a place in the queue is counted. */
const MOST_PLACES = 1000;
/** A search for rare jobs in a list. */
const LIST_MS = 2000;

export class QueueFront implements Front, AsyncDisposable {
  readonly models: ModelDirectory;
  readonly settings: KeptSettings;
  readonly waits: SideData['waits'];
  readonly limits: FrontLimits;
  readonly #options: QueueFrontOptions;
  readonly #waiters: Waiters;
  readonly #marks: WatchMarks;
  readonly #admission: Admission;
  readonly #adoption: Adoption;
  readonly #lost: LostRequests;
  /** By the signal of the request, which lives as long as it. */
  readonly #held = new WeakMap<AbortSignal, Held>();
  readonly #deadlines: DeadlineSweeps;
  #waits = 0;

  constructor(options: QueueFrontOptions) {
    const { queue, logger, workers, limits, cancelLostAfterMs: cancelAfterMs = CANCEL_LOST_MS } = options;
    const { sideData } = queue;
    this.#options = options;
    this.models = options.models;
    this.settings = sideData.settings;
    this.waits = sideData.waits;
    this.limits = limits;
    this.#waiters = new Waiters({ queue, logger });
    this.#marks = new WatchMarks({ watches: sideData.watches, logger });
    this.#admission = new Admission({ queue, limits, workers });
    this.#adoption = new Adoption({ queue, sideData });
    this.#deadlines = new DeadlineSweeps({ queue, logger });
    this.#lost = new LostRequests({ adoption: this.#adoption, queue, logger, cancelAfterMs });
  }

  /** Requests that wait now. */
  get waiting(): number {
    return this.#waits;
  }

  async create(caller: Caller, prompts: readonly NewPrompt[], options: CreateOptions): Promise<Created> {
    const { limits, logger } = this.#options;
    checkPrompts(prompts, { limits, key: caller.key });
    const created =
      caller.idempotencyKey === undefined
        ? await this.#createAnew(caller, prompts, options)
        : await this.#createOnce(caller, prompts, { ...options, idempotencyKey: caller.idempotencyKey });
    const { ids, isRepeat } = created;
    logger.info('prompts of a request', {
      request_id: caller.requestId,
      prompt_ids: ids,
      lengths: prompts.map(({ document }) => (typeof document['text'] === 'string' ? document['text'].length : 0)),
      repeat: isRepeat,
    });
    if (options.cancelAfterMs !== undefined) this.#deadlines.expect(options.cancelAfterMs);
    return created;
  }

  async wait(caller: Caller, ids: readonly string[], options: WaitOptions = {}): Promise<readonly EndedJob[]> {
    const held = this.#held.get(caller.gone);
    try {
      const jobs = await this.#waitMarked(caller, ids, options);
      await this.#lost.answered(held, caller);
      return jobs;
    } catch (raw) {
      const error = Text2ImgError.from(raw);
      await this.#lost
        .ended(held, error)
        .catch((cause: unknown) =>
          this.#options.logger.repeated('a job could not be left to a retry', { error: cause }),
        );
      throw error;
    }
  }

  async #waitMarked(caller: Caller, ids: readonly string[], options: WaitOptions): Promise<readonly EndedJob[]> {
    this.#checkRoom();
    const { waitTimeoutMs: timeoutMs, workers, noWorkerTimeoutMs, ending, queue } = this.#options;
    const { hasWorker = (model: string) => workers.has(model) } = this.#options;
    const withPreviews = options.onEvent !== undefined && options.withPreviews === true;
    const endMarks = ids.map((id) => this.#marks.keep(id, { withPreviews }));
    this.#waits++;
    try {
      return await waitForJobs(
        { timeoutMs, ...options, ids, gone: caller.gone },
        {
          waiters: this.#waiters,
          previews: queue.sideData.previews,
          ending,
          hasWorker: (model) => (model === undefined ? undefined : hasWorker(model)),
          // The jobs API promises nothing about when a job is done.
          noWorkerTimeoutMs: caller.door === 'jobs' ? Infinity : noWorkerTimeoutMs,
          check: (job) => checkMaySee(caller, job),
        },
      );
    } finally {
      this.#waits--;
      for (const end of endMarks) end();
    }
  }

  async show(caller: Caller, id: string): Promise<JobSummary> {
    const job = await this.#options.queue.show(id);
    if (job === undefined) throw noSuchJob(id);
    checkMaySee(caller, job);
    return job;
  }

  async follow(caller: Caller, ids: readonly string[]): Promise<readonly FollowedJob[]> {
    if (ids.length === 0) return [];
    const jobs = await this.#options.queue.follow(ids);
    return [...jobs.values()].filter((job) => maySee(caller, job));
  }

  async list({ key }: Caller, options: ListOptions): Promise<ListedPage> {
    const isOfAll = key === undefined || key.isAdmin;
    const page = { ...options, withinMs: LIST_MS };
    return this.#options.queue.listPage(isOfAll ? page : { ...page, tenant: key.name });
  }

  async cancel(caller: Caller, id: string): Promise<boolean> {
    await this.show(caller, id);
    return known(id, await this.#options.queue.cancel(id));
  }

  async retry(caller: Caller, id: string): Promise<boolean> {
    await this.show(caller, id);
    return known(id, await this.#options.queue.retry(id));
  }

  async remove(caller: Caller, id: string): Promise<void> {
    await removeJob(await this.show(caller, id), this.#options);
  }

  async images(caller: Caller, id: string): Promise<readonly StoredImage[]> {
    return this.imagesOf(await this.show(caller, id));
  }

  async imagesOf(job: JobSummary): Promise<readonly StoredImage[]> {
    return storedImages(job, this.#options);
  }

  async estimateMs(id: string): Promise<Estimate | undefined> {
    const { queue, workers } = this.#options;
    const place = await queue.placeInQueue(id, { most: MOST_PLACES });
    if (place === undefined) return undefined;
    const { ahead, isCapped } = place;
    return { position: ahead, isCapped, waitMs: workers.waitMs(ahead + 1) };
  }

  async preview(caller: Caller, id: string): Promise<Preview | undefined> {
    await this.show(caller, id);
    this.#marks.ask(id);
    return this.#options.queue.sideData.previews.get(id);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#lost[Symbol.dispose]();
    this.#marks[Symbol.dispose]();
    await Promise.all([this.#waiters[Symbol.asyncDispose](), this.#deadlines[Symbol.asyncDispose]()]);
    await this.#lost.written();
  }

  /** A request without a key of its own: it takes over the job of the attempt before, or makes one. */
  async #createAnew(
    caller: Caller,
    prompts: readonly NewPrompt[],
    { body, isWatched, cancelAfterMs }: CreateOptions,
  ): Promise<Created> {
    const mayBeTakenOver = isWatched && prompts.length === 1 && CANCELLED_DOORS.has(caller.door);
    const orphanKey = mayBeTakenOver ? orphanKeyOf(caller, hashOfBody(body)) : undefined;
    if (orphanKey !== undefined && caller.retryCount > 0) {
      const taken = await this.#adoption.takeOver(caller, orphanKey);
      if (taken !== undefined) {
        this.#held.set(caller.gone, { orphanKey, promptId: taken, door: caller.requestId });
        return { ids: [taken], isRepeat: true, warnings: [] };
      }
    }
    // A client that left sends the request again, and that one makes the job. Two of them would generate it twice.
    if (orphanKey !== undefined && caller.gone.aborted)
      throw new Text2ImgError('client_disconnected', 'The client closed the connection.');
    if (isWatched) this.#checkRoom();
    await this.#admission.admit(caller, prompts.length);
    const ids = newIds(prompts.length);
    const [first = ''] = ids;
    if (orphanKey !== undefined) await this.#hold(caller, { orphanKey, promptId: first, door: caller.requestId });
    if (isWatched) await this.#marks.mark(ids);
    try {
      await this.#add(caller, { prompts, ids, cancelAfterMs });
    } catch (error) {
      // With trouble of the queue nobody knows whether it was added: a retry finds out.
      const held = this.#held.get(caller.gone);
      if (held !== undefined && !Text2ImgError.from(error).retryable) await this.#adoption.withdraw(held);
      throw error;
    }
    return { ids, isRepeat: false, warnings: [] };
  }

  /** A request with an `Idempotency-Key`: its documents are added once, however often it comes. */
  async #createOnce(
    caller: Caller,
    prompts: readonly NewPrompt[],
    { body, isWatched, cancelAfterMs, idempotencyKey }: CreateOptions & { readonly idempotencyKey: string },
  ): Promise<Created> {
    const { sideData } = this.#options.queue;
    checkIdempotencyKey(idempotencyKey);
    if (!(await sideData.canWrite()))
      throw new Text2ImgError(
        'not_implemented',
        'This server may not keep what an Idempotency-Key needs; leave the header out.',
      );
    const bodyHash = hashOfBody(body);
    const id = recordIdOf(caller, idempotencyKey);
    const record = await sideData.requests.begin({ id, bodyHash, promptIds: newIds(prompts.length) });
    if (record.bodyHash !== bodyHash || record.promptIds.length !== prompts.length)
      throw new Text2ImgError('idempotency_mismatch', 'The Idempotency-Key was used with another body; use a new one.');
    const ids = record.promptIds;
    if (record.isAdded) await checkThere(ids, this.#options);
    // Before anything is added. A repeat needs room too, but only for its wait.
    if (isWatched && !record.isAdded) this.#checkRoom();
    if (isWatched) await this.#marks.mark(ids);
    if (record.isAdded) return { ids, isRepeat: true, warnings: [] };
    await this.#admission.admit(caller, prompts.length);
    await this.#add(caller, { prompts, ids, cancelAfterMs, enqueueId: id });
    await sideData.requests.added(id);
    return { ids, isRepeat: !record.isNew, warnings: [] };
  }

  async #add(caller: Caller, { prompts, ids, cancelAfterMs, enqueueId }: Added): Promise<void> {
    const { queue } = this.#options;
    const nameOf = (index: number): string => (prompts.length === 1 ? 'The prompt' : `Prompt ${index + 1}`);
    await queue.enqueue(
      prompts.map(({ document }, index) => ({ ...document, _id: { $oid: ids[index] } })),
      {
        nameOf,
        labels: { tenant: caller.key?.name, door: caller.requestId },
        modelOf: (index) => prompts[index]?.model,
        cancelAfterMs,
        ...(enqueueId === undefined ? {} : { enqueueId }),
      },
    );
  }

  async #hold(caller: Caller, held: Held): Promise<void> {
    this.#held.set(caller.gone, held);
    await this.#adoption.offer(held, { isReleased: false });
  }

  #checkRoom(): void {
    const { maxWaiting } = this.#options.limits;
    if (this.#waits < maxWaiting) return;
    throw new Text2ImgError('too_many_waiting', `${maxWaiting} requests wait for their jobs, which is the most here.`);
  }
}

interface Added {
  readonly prompts: readonly NewPrompt[];
  readonly ids: readonly string[];
  readonly cancelAfterMs: number | undefined;
  readonly enqueueId?: string;
}

/** In the order of time, as MongoDB's, and those of one request in its order: jobs of equal priority are claimed by their ids. */
function newIds(count: number): readonly string[] {
  const seconds = Math.floor(Date.now() / 1000);
  const beginning = seconds.toString(16).padStart(8, '0') + randomBytes(6).toString('hex');
  return Array.from({ length: count }, (_, index) => beginning + index.toString(16).padStart(4, '0'));
}

/** Nobody learns that another key's job exists. @throws `not_found` */
function checkMaySee(caller: Caller, job: JobSummary): void {
  if (!maySee(caller, job)) throw noSuchJob(job.id);
}

function maySee({ key }: Caller, { tenant }: JobSummary): boolean {
  return key === undefined || key.isAdmin || tenant === key.name;
}

function known(id: string, outcome: boolean | undefined): boolean {
  if (outcome === undefined) throw noSuchJob(id);
  return outcome;
}

function noSuchJob(id: string): Text2ImgError {
  return new Text2ImgError('not_found', `There is no job ${quote(id)}.`);
}
