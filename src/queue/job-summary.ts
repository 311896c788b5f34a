/** A job as lists show it, and the options of lists. Part of the contract in `prompt-queue.ts`, from where everybody else imports it. */
import type { FieldValue } from '../job/request-field.ts';

export type JobStatus = 'pending' | 'processing' | 'completed' | 'error';

export interface JobProgress {
  /** Steps done of all images together. */
  readonly step: number;
  readonly steps: number;
}

/** A document as `jobs list` and `jobs show` present it. */
export interface JobSummary {
  readonly id: string;
  /** A `JobStatus`, or the value that another program wrote there, quoted and bounded. All texts are bounded, none is escaped. */
  readonly status: string;
  readonly text: string;
  readonly priority: number;
  readonly attempts: number;
  readonly progress?: JobProgress;
  readonly owner?: string;
  readonly leaseUntil?: Date;
  readonly imageUrls?: readonly string[];
  readonly seed?: number;
  readonly parameters?: Readonly<Record<string, FieldValue>>;
  readonly warnings?: readonly string[];
  readonly error?: string;
  /** The error of the last attempt, while the job waits for the next one. */
  readonly lastError?: string;
  /** It waits for its next attempt, which is due at `leaseUntil`. */
  readonly awaitsRetry?: boolean;
  readonly enqueuedAt?: Date;
  readonly finishedAt?: Date;
  /** The request's other fields, as the user wrote them; a text there may be of another type than is allowed. */
  readonly request?: Readonly<Record<string, string | number | boolean>>;
  /** When a worker claimed it last. */
  readonly startedAt?: Date;
  /** The worker that claimed it last, also when it has ended. */
  readonly worker?: string;
  readonly model?: string;
  readonly tenant?: string;
  readonly door?: string;
}

/** A job as somebody who waits for it sees it. */
export interface FollowedJob extends JobSummary {
  readonly ended: boolean;
}

/** A job in a list, and its place there. */
export interface ListedJob extends JobSummary {
  /** For `ListOptions.after`; opaque. It stays good when jobs are added, end or are removed. */
  readonly cursor: string;
}

export interface ListOptions {
  readonly status?: JobStatus | undefined;
  /** At most so many, and never more than `LARGEST_PAGE`. */
  readonly limit: number;
  /** The `cursor` of a job: only those behind it. */
  readonly after?: string | undefined;
  /** Only this tenant's; null: those without a tenant. */
  readonly tenant?: string | null | undefined;
  /** Only those for this model. */
  readonly model?: string | undefined;
}

export interface PageOptions extends ListOptions {
  /** A search for rare jobs ends after so long, with the jobs that it has found. */
  readonly withinMs: number;
}

/** A part of the list. */
export interface ListedPage {
  readonly jobs: readonly ListedJob[];
  /** For `after`: where the list goes on; undefined: this was its end. A page without jobs can have one. */
  readonly next: string | undefined;
}
