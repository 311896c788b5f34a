/**
 * The contract of a prompt queue. `sqlite/` keeps it for one machine, `mongo/` for many; both pass the conformance suite in
 * `test/queue/prompt-queue-conformance.ts`.
 *
 * One document is queue entry, state and outbox, so every transition below is one atomic write. Every transition after the claim is made under the
 * token of that claim (invariant 1). `lost` means that the token is no longer the document's. Its lease ran out and another worker took over, or it
 * was cancelled, reset or deleted. All times are the queue's own clock, never a worker's.
 */
import type { DocumentId } from '../job/document-id.ts';
import type { FieldValue } from '../job/request-field.ts';
import type { ErrorCode } from '../errors/error-codes.ts';
import type {
  FollowedJob,
  JobProgress,
  JobSummary,
  ListedJob,
  ListedPage,
  ListOptions,
  PageOptions,
} from './job-summary.ts';
import type { SideData } from './side-data.ts';
import type { OwedWebhook, WebhookOutbox } from './webhook-outbox.ts';

export type {
  FollowedJob,
  JobProgress,
  JobStatus,
  JobSummary,
  ListedJob,
  ListedPage,
  ListOptions,
  PageOptions,
} from './job-summary.ts';

/** A prompt document's own fields as they lie in the queue, not yet validated (`job/prompt-document.ts` does that). */
export type RawPromptDocument = Readonly<Record<string, unknown>>;

/** A server writes these into `job` when it adds a document. Documents from elsewhere have none of them. */
export interface JobLabels {
  /** The model that the job is for, under its canonical name. */
  readonly model?: string | undefined;
  /** Whose job it is: the name of an API key. */
  readonly tenant?: string | undefined;
  /** Which request waits for it; the proof that this request may cancel it. */
  readonly door?: string | undefined;
}

export interface EnqueueOptions {
  /** The name of the n-th document (from 0) in an error. Default: "document n + 1". */
  readonly nameOf?: (index: number) => string;
  readonly labels?: JobLabels;
  /** The model of the n-th document (from 0), instead of the labels' one. */
  readonly modelOf?: (index: number) => string | undefined;
  /** Cancels what has not ended so long after it was added, by the queue's clock. Default: never. */
  readonly cancelAfterMs?: number | undefined;
  /**
   * Names this call for a repetition: documents that an earlier call under this name added are not added again, and an error takes nothing back.
   * Every document must have its `_id` then. Default: a new name, so nothing can be repeated.
   */
  readonly enqueueId?: string;
}

/** Which document it is, and what its objects are called. */
export type PromptIdentity = Pick<ClaimedPrompt, 'id' | 'docKey' | 'objectName'>;

/** One document, owned by this worker until its lease ends. */
export interface ClaimedPrompt {
  readonly id: DocumentId;
  /** Canonical EJSON of `{database, collection, _id}`: which document anywhere this is. Written beside the image. */
  readonly docKey: string;
  /** The name that `nameObject` recorded once, as it lies there. Do not trust it: another program can write a document's `job`. */
  readonly objectName?: string | undefined;
  /** New at every claim; says who owns the document. */
  readonly token: string;
  /** New when a pending document is claimed; kept by retries, by a take-over after a crash and by a give-back. */
  readonly runId: string;
  /** 1 at the first claim of a run. */
  readonly attempt: number;
  /** The attempt before this one crashed, was killed or ran out of memory: generate it alone. */
  readonly previousAttemptDied: boolean;
  /** The model that the job is for; undefined: the worker's default. */
  readonly model?: string | undefined;
  /** Its `PROMPT_FIELDS`, as they lie there. The queue never reads the user's other fields. */
  readonly document: RawPromptDocument;
  /** The names of its fields, as far as `fieldNamesOf` keeps them. */
  readonly fieldNames: readonly string[];
}

/** The values that a completed run writes into its document. */
export interface CompletionRecord {
  /** One URL per image, in order. */
  readonly imageUrls: readonly string[];
  readonly seed: number;
  /** The parameters that were used, in wire names; becomes `job.parameters`. */
  readonly parameters: Readonly<Record<string, FieldValue>>;
  readonly warnings: readonly string[];
}

export interface FailureRecord {
  readonly code: ErrorCode;
  /** One sentence, at most 500 characters with the code; no stack, no secret. */
  readonly message: string;
}

/** `lost`: nothing was written, the document is no longer ours. */
export type TransitionOutcome = 'done' | 'lost';

/** How many documents a claim takes before this one; at least so many where the count was capped. */
export interface QueuePosition {
  readonly ahead: number;
  readonly isCapped: boolean;
}

export interface DepthOptions {
  /** Only this tenant's. */
  readonly tenant?: string | undefined;
  /** `open`: pending or processing. */
  readonly status: 'pending' | 'open';
  /** The count ends here. */
  readonly most: number;
}

export interface CancelOptions {
  readonly message?: string | undefined;
  readonly door?: string | undefined;
}

export interface ChangeListeners {
  /** Aborted: the watch ends. */
  readonly signal: AbortSignal;
  /** The status of this job has changed, or it was deleted. `id` as `promptIdText` prints it. */
  readonly onChange: (id: string) => void;
  /** The watch has begun, or began again after an error: changes before this moment may have been missed. */
  readonly onGap?: () => void;
  /** The watch has begun, and reports the changes of this process only. */
  readonly onPartial?: () => void;
}

export interface QueueCounts {
  readonly pending: number;
  /** With our lease fields, under any worker's claim. */
  readonly processing: number;
  /** In `processing` without a lease that ends, so that nobody can claim them: another program left them so. Not among `processing`. */
  readonly stuck: number;
  readonly completed: number;
  readonly error: number;
}

/** Which ended documents are retried. */
export interface RetrySelection {
  readonly status: 'completed' | 'error';
  /** Only those that ended with this code. */
  readonly code?: ErrorCode;
  /** Only those that ended at least so long ago; one whose end has no time is not among them. */
  readonly olderThanMs?: number;
}

export interface RetriedAll {
  readonly retried: number;
  /** Documents that the database refuses to change. */
  readonly refused: number;
}

/** The jobs that remain in a queue that seems empty. */
export interface DrainState {
  /** Nothing that can be claimed is pending, and nothing is being generated by anybody or waits for its retry. */
  readonly isDrained: boolean;
  /** Pending documents that the database refuses to change, so that nobody can claim them. */
  readonly refused: number;
  /** Processing documents that nobody can claim, because another program left them without our lease. */
  readonly stuck: number;
  /** Pending documents for other models than those that were asked for, counted up to `MOST_OTHERS`; absent where all models were. */
  readonly others?: number;
}

/** A job that ends as `error` without a claim: all its attempts crashed, or no worker can claim it. */
export interface UnclaimedPrompt {
  readonly id: DocumentId;
  /** As a claim has it. */
  readonly docKey: string;
  /** Its last run's, or a new one where it had none. */
  readonly runId: string;
  /** Its `PROMPT_FIELDS`, as they lie there. */
  readonly document: RawPromptDocument;
  readonly failure: FailureRecord;
}

/** The queue calls these when a job ends without a claim; it knows neither webhooks nor summaries itself. */
export interface Endings {
  /** Asked before the write that ends it, which carries the webhook. Does not throw. */
  webhookFor(prompt: UnclaimedPrompt): OwedWebhook | undefined;
  /** The job has ended, and this webhook is pending. */
  onEnded(prompt: UnclaimedPrompt, webhook: OwedWebhook | undefined): void;
}

/** How an attempt that failed is put off. */
export interface LaterOptions {
  readonly delayMs: number;
  readonly failure: FailureRecord;
  /** Default: one that nobody knows. */
  readonly waitToken?: string | undefined;
}

/** A document that was put off, as the worker that did it knows it. */
export interface WaitingPrompt {
  readonly id: DocumentId;
  readonly runId: string;
  /** The one that was given to `retryLater`. */
  readonly waitToken: string;
  /** So many are returned. */
  readonly attempts: number;
}

export interface StatementOptions {
  /**
   * When aborted, the queue begins no further statement, and no longer waits for one under way (`queue_failed`). It releases documents that such a
   * statement claims later.
   */
  readonly signal?: AbortSignal | undefined;
}

/** The models that a worker claims for. */
export interface ModelSelection {
  /** Canonical names: at most 50, because a claim reads an index once for each. */
  readonly named: readonly string[];
  /** Also documents that name no model. */
  readonly takesUnnamed: boolean;
}

export interface ModelOptions extends StatementOptions {
  /** Default: documents of all models. */
  readonly models?: ModelSelection | undefined;
}

/** The result of a look for jobs whose time is over. */
export interface OverdueJobs {
  /** Those that it ended. */
  readonly ended: readonly string[];
  /** Until the next one's time is over; undefined: none has one. */
  readonly nextMs: number | undefined;
}

export interface SweepOptions extends StatementOptions {
  /** Default: the end is not reported, and no webhook is recorded. */
  readonly endings?: Endings | undefined;
}

export interface ClaimOptions extends SweepOptions, ModelOptions {
  readonly limit: number;
  /** Tenants take turns, one document each; priorities order the documents of one tenant. Needs `models`. */
  readonly fair?: boolean | undefined;
}

export interface PromptQueue extends AsyncDisposable {
  /** Where it is, for logs; no secrets. */
  readonly description: string;

  /**
   * Takes up to `limit` documents: expired leases and due retries first, then pending ones by priority (higher first, absent is 0), then age. The
   * leases last until `leaseMs` from now. Documents that were claimed before an error are returned all the same.
   * @throws `queue_refused` when every pending document of one whole pass through the queue was refused by the database
   */
  claim(options: ClaimOptions): Promise<readonly ClaimedPrompt[]>;

  /** Extends the lease to `leaseMs` from now, and records the progress. */
  renew(claim: ClaimedPrompt, progress?: JobProgress): Promise<TransitionOutcome>;

  /** As `renew`, and records the name of the document's objects: in it before anything is stored under that name, for every later claim. */
  nameObject(claim: ClaimedPrompt, objectName: string): Promise<TransitionOutcome>;

  /**
   * Ends the run as `completed`. One write records the image URLs, the parameters that were used, and the pending webhook (invariant 3). Repeating it
   * under the same token is `done`.
   */
  complete(claim: ClaimedPrompt, record: CompletionRecord, webhook?: OwedWebhook): Promise<TransitionOutcome>;

  /** The run ends with an error, and its webhook is recorded. Image URLs of an earlier run are removed. */
  fail(claim: ClaimedPrompt, failure: FailureRecord, webhook?: OwedWebhook): Promise<TransitionOutcome>;

  /**
   * The attempt failed: the document becomes claimable again after `delayMs`, and the attempt counts. `waitToken` is its token until then;
   * repeating the call with the same one is `done`. Default: a token that nobody knows.
   */
  retryLater(claim: ClaimedPrompt, options: LaterOptions): Promise<TransitionOutcome>;

  /**
   * Gives the document back unharmed: pending again, same run, and the attempt does not count. `attempts`: how many do not, where earlier ones
   * turned out to be no fault of the document; default 1.
   */
  release(claim: ClaimedPrompt, options?: { readonly attempts?: number }): Promise<TransitionOutcome>;

  /**
   * A document that `retryLater` put off under `waitToken` turned out to be innocent: pending again, and these attempts do not count. `lost`:
   * claimed since, ended, or another run by now; nothing is changed.
   */
  returnAttempts(waiting: WaitingPrompt): Promise<TransitionOutcome>;

  /** Ends documents whose lease ran out on their last attempt with `attempts_exhausted`; returns how many. */
  reap(options?: SweepOptions): Promise<number>;

  /**
   * Ends jobs that have not ended by the time that `enqueue` was given, as `cancel` does. Any process may call it. A run that a retry begins has no such
   * time.
   */
  endOverdue(options?: StatementOptions): Promise<OverdueJobs>;

  /**
   * Adds documents as `pending`, all or none, with exactly the fields that were given. `_id` may be given. A `job` in them is not kept.
   * @throws `invalid_document` for one that exists already, or that the queue could not keep as it is; nothing is added then
   */
  enqueue(documents: readonly RawPromptDocument[], options?: EnqueueOptions): Promise<readonly DocumentId[]>;

  counts(): Promise<QueueCounts>;
  /**
   * Jobs, newest first. Go on from the last job's `cursor` until a page is empty: each job that was there all the time comes exactly once.
   * MongoDB does not know when an `_id` of the user's own was added. Its jobs come in the order of their `_id`s, the largest first.
   * @throws `invalid_cursor`
   */
  list(options: ListOptions): Promise<readonly ListedJob[]>;
  /** As `list`, within a time: it says itself where the list goes on. @throws `invalid_cursor` */
  listPage(options: PageOptions): Promise<ListedPage>;
  /** `id` as `promptIdText` prints it. */
  show(id: string): Promise<JobSummary | undefined>;
  /** Many jobs in one read, as a majority of the servers has them. Under the ids that were given; absent: no such document. */
  follow(ids: readonly string[]): Promise<ReadonlyMap<string, FollowedJob>>;
  /**
   * Reports changes until the signal. It is a hint only: read the jobs, and look for yourself from time to time. Resolves at once where the queue
   * cannot tell (a standalone MongoDB). The embedded queue reports the changes of this process only (`onPartial`). Never rejects.
   */
  watchChanges(listeners: ChangeListeners): Promise<void>;
  /** Up to `limit` ids that begin with `prefix`, as `promptIdText` prints them. Whole numbers are found by their whole id only. */
  idsWithPrefix(prefix: string, limit: number): Promise<readonly string[]>;
  /** Which document it is, as a claim has it; undefined: no such document. */
  identify(id: string): Promise<PromptIdentity | undefined>;
  /**
   * A finished document becomes `pending` as a new run; by force also a processing one that nobody can claim. `undefined`: no such document;
   * false: it is in another state. Two documents of this name are an `ambiguous_id`.
   */
  retry(id: string, options?: { readonly force?: boolean | undefined }): Promise<boolean | undefined>;
  /** As `retry`, for all ended documents of the selection, each once, in bounded batches. It may leave out documents that end meanwhile. */
  retryAll(selection: RetrySelection): Promise<RetriedAll>;
  /** How many `retryAll` would find now. */
  countSelected(selection: RetrySelection): Promise<number>;
  /**
   * A pending or processing document ends as `error` with code `cancelled`; its worker notices when it next renews the lease.
   * @param options `message` is the sentence of the error; with `door` only while `job.door` is this
   */
  cancel(id: string, options?: CancelOptions): Promise<boolean | undefined>;
  /** The job gets another door, while it has this one and has not ended. Repeating it is true again. */
  adopt(id: string, doors: { readonly from: string; readonly to: string }): Promise<boolean>;
  /** An ended document is deleted, with its webhooks. False: it has not ended; undefined: no such document. */
  remove(id: string): Promise<boolean | undefined>;

  /** Undefined: it is not pending. A document whose `priority` is no number is not counted, nor has it a place. */
  placeInQueue(id: string, options: { readonly most: number }): Promise<QueuePosition | undefined>;
  /** How many documents wait, counted up to `most`. */
  depth(options: DepthOptions): Promise<number>;
  /** The age of the pending document that waits longest, of those whose time is known. Undefined: none. */
  oldestPendingMs(): Promise<number | undefined>;

  /**
   * Sentences about pending documents that no worker can claim, as far as that can be known without trying.
   * @param served the models of the living workers; absent: nobody knows them, so any model may be served
   */
  stuck(served?: ModelSelection): Promise<readonly string[]>;

  /** Sentences about documents whose status is nearly `pending`, so that no worker sees them. */
  nearMisses(): Promise<readonly string[]>;

  drainState(options?: ModelOptions): Promise<DrainState>;

  /** Milliseconds until a lease or a backoff ends, if any document waits for one; for an idle worker's sleep. */
  msUntilNextDue(options?: ModelOptions): Promise<number | undefined>;

  /** Resolves when there may be something to claim. The embedded queue knows only of additions by this process. It resolves at the latest after `timeoutMs` or when the signal is aborted. Never rejects. */
  untilChanged(options: { readonly timeoutMs: number; readonly signal: AbortSignal }): Promise<void>;

  /** The outbox with the webhooks of ended jobs. */
  readonly outbox: WebhookOutbox;
  /** Data that servers and workers exchange beside the documents. */
  readonly sideData: SideData;
}
