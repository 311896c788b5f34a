/**
 * The contract between the doors and the queue: the one producer of all doors. A door turns its requests into prompt documents and hands them over.
 * `queue-front.ts` keeps it. Everything that is refused is a `Text2ImgError`; `server/status-of.ts` says which HTTP status follows.
 */
import type { ErrorCode } from '../../errors/error-codes.ts';
import type { FollowedJob, JobSummary, ListedPage, ListOptions, RawPromptDocument } from '../../queue/prompt-queue.ts';
import type { SideData } from '../../queue/side-data.ts';
import type { OpenImage } from '../../storage/image-store.ts';
import type { Caller } from './caller.ts';
import type { FrontLimits } from './limits.ts';
import type { ModelDirectory } from './model-directory.ts';

export interface NewPrompt {
  /** Fields of `job/request-fields.ts` in the wire's names. `_id`, `job` and `status` are refused. */
  readonly document: RawPromptDocument;
  /** Canonical, from `ModelDirectory.resolve`. */
  readonly model: string;
}

export interface CreateOptions {
  /** The parsed body, from which the hash for repeats is made. */
  readonly body: unknown;
  /** The caller goes on to `wait`: the workers send progress, and a retry of a lost request may take the job over. */
  readonly isWatched: boolean;
  /** Cancels what has not ended by then. */
  readonly cancelAfterMs?: number;
}

export interface Created {
  readonly ids: readonly string[];
  /** Nothing was added: the jobs are those of an earlier request with the same `Idempotency-Key`, or of the attempt before. */
  readonly isRepeat: boolean;
  readonly warnings: readonly string[];
}

/** A job whose end was seen. */
export interface EndedJob extends JobSummary {
  /** Of a job in `error`: the code that its error begins with, where it is one of ours. */
  readonly code?: ErrorCode;
}

export interface Preview {
  readonly png: Uint8Array;
  readonly step: number;
  readonly steps: number;
}

/** An event of a job that somebody waits for. Each change once, in order; a status may be left out when it lasts shortly. */
export type JobEvent =
  | { readonly type: 'status'; readonly id: string; readonly status: string; readonly position?: number }
  | { readonly type: 'progress'; readonly id: string; readonly step: number; readonly steps: number }
  | ({ readonly type: 'preview'; readonly id: string } & Preview)
  | { readonly type: 'completed'; readonly job: EndedJob }
  | { readonly type: 'error'; readonly job: EndedJob };

export interface WaitOptions {
  /** Default: `--wait-timeout`. */
  readonly timeoutMs?: number;
  readonly onEvent?: (event: JobEvent) => void;
  /** True: `preview` events too, which the workers then make. */
  readonly withPreviews?: boolean;
}

/** An image of a completed job. */
export interface StoredImage {
  readonly index: number;
  readonly seed: number;
  /** The object's, in the store. */
  readonly name: string;
  /** To read it piece by piece. The caller closes it. @throws `deleted`, and what the store throws */
  open(): Promise<OpenImage>;
}

export interface Estimate {
  /** Jobs that are generated before it. */
  readonly position: number;
  /** There are more than that. */
  readonly isCapped: boolean;
  /** Undefined: no worker has reported how fast it is. */
  readonly waitMs: number | undefined;
}

/** A client's settings, kept for good. Where side data cannot be written, nothing is kept, without an error. */
export interface KeptSettings {
  /** @returns JSON; undefined: nothing was kept */
  get(key: string): Promise<unknown>;
  set(key: string, value: unknown): Promise<void>;
}

export interface Front {
  readonly models: ModelDirectory;
  readonly settings: KeptSettings;
  /** Requests that servers of this queue wait for. Without the right to write side data there are none. */
  readonly waits: SideData['waits'];
  /** Of the server; a key may have smaller ones. */
  readonly limits: FrontLimits;

  /**
   * Checks the prompts against the table of fields and the limits, and adds them. Prompts of a request that is repeated are not added again.
   * @throws what `parsePromptDocument` throws; `invalid_document`, `idempotency_mismatch`, `deleted`, `rate_limit_exceeded`, `too_many_pending`,
   *   `too_many_waiting`, `shutting_down`, and what the queue throws
   */
  create(caller: Caller, prompts: readonly NewPrompt[], options: CreateOptions): Promise<Created>;

  /**
   * Waits until all have ended, in whichever way. A caller that disconnects leaves its jobs to a retry. After 15 seconds the jobs of the doors
   * `openai`, `a1111` and `ollama` are cancelled, unless they came with an `Idempotency-Key`.
   * @throws `wait_timeout`, `no_worker`, `too_many_waiting`, `shutting_down`, `client_disconnected`, `deleted`
   */
  wait(caller: Caller, ids: readonly string[], options?: WaitOptions): Promise<readonly EndedJob[]>;

  /** @throws `not_found`, also for a job of another key */
  show(caller: Caller, id: string): Promise<JobSummary>;
  /** Those of these jobs that are there and that the caller may see, in one read. */
  follow(caller: Caller, ids: readonly string[]): Promise<readonly FollowedJob[]>;
  /**
   * Newest first; only the key's own jobs, unless it is an admin's. A search for rare jobs ends after two seconds: a page may be short, or empty, and still
   * have a next one.
   */
  list(caller: Caller, options: ListOptions): Promise<ListedPage>;
  /** False: it has ended already. @throws `not_found` */
  cancel(caller: Caller, id: string): Promise<boolean>;
  /** False: it has not ended yet. @throws `not_found` */
  retry(caller: Caller, id: string): Promise<boolean>;
  /** Images first, the document last. @throws `not_found`, `wrong_job_state` for one that has not ended, `not_implemented`, what the store throws */
  remove(caller: Caller, id: string): Promise<void>;

  /** Of a completed job; empty for any other. @throws `not_found` */
  images(caller: Caller, id: string): Promise<readonly StoredImage[]>;
  /**
   * Of a job as `wait` or `show` answered it. It is not read again: an operator may have retried it since, and a success without images would be wrong.
   * @throws `deleted`
   */
  imagesOf(job: JobSummary): Promise<readonly StoredImage[]>;
  /** Undefined: it does not wait in the queue. */
  estimateMs(id: string): Promise<Estimate | undefined>;
  /** The latest one; undefined: there is none yet. The workers make them for some seconds after this question. @throws `not_found` */
  preview(caller: Caller, id: string): Promise<Preview | undefined>;
}
