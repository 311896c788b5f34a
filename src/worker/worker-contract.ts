/** The options and events of a worker. Everything from outside comes in here. */
import type { EnginePool } from '../engine/pool.ts';
import type { ErrorCode } from '../errors/error-codes.ts';
import type { JobDurations } from '../job/stages.ts';
import type { PromptLimits } from '../job/limits.ts';
import type { GenerationDefaults } from '../job/generation-request.ts';
import type { Logger } from '../observability/logger.ts';
import type { CompletionRecord, PromptQueue } from '../queue/prompt-queue.ts';
import type { ImageStore } from '../storage/image-store.ts';
import type { WebhookPolicy } from '../webhook/webhook-policy.ts';
import type { TroubleReport } from './trouble.ts';

/** How long a worker waits for its environment. */
export interface TroublePatience {
  /** Between two probes; doubled each time. */
  readonly firstPauseMs: number;
  readonly maxPauseMs: number;
  /** How long a drain goes on like that. */
  readonly drainMs: number;
}

export interface WorkerOptions {
  readonly queue: PromptQueue;
  readonly store: ImageStore;
  readonly pool: EnginePool;
  /** Decides the webhook of a finished prompt. */
  readonly webhooks: WebhookPolicy;
  /** Called when a new webhook is pending. */
  readonly onWebhookOwed?: () => void;
  /** The images' names begin with it, as `generated/`. */
  readonly objectPrefix: string;
  readonly limits: PromptLimits;
  readonly defaults: GenerationDefaults;
  /** `drained`: until nothing is pending or processing, by anybody; `stopped`: until the signal. */
  readonly until: 'drained' | 'stopped';
  /** The name of the claiming worker, as the queue has it; each log line about a job names it. */
  readonly owner?: string;
  /** As the queue has it. */
  readonly leaseMs: number;
  readonly maxAttempts: number;
  /** The most documents to claim at once; the engine may take fewer. */
  readonly batchSize: number;
  /** Tenants take turns. */
  readonly isFair?: boolean;
  /** Aborted: claim nothing more, finish what fits into `graceMs`, release the rest. */
  readonly signal: AbortSignal;
  readonly graceMs: number;
  readonly logger: Logger;
  readonly onEvent?: (event: WorkerEvent) => void;
  /** Called at every turn of the worker's loop: it is alive, and this is what keeps it from claiming. */
  readonly onAlive?: (trouble: TroubleReport | undefined) => void;
  /** Default: pauses from 1 s to 60 s, 5 minutes in a drain. */
  readonly troublePatience?: TroublePatience;
  /** Time between two renewals of a lease; default a third of the lease. */
  readonly renewMs?: number;
  /** Time between two looks at an empty queue, jittered. */
  readonly pollMs?: number;
}

/** The events of a document, for progress bars and `--json`. `id` is the `prompt_id`. */
export type WorkerEvent =
  | { readonly type: 'claimed'; readonly id: string; readonly attempt: number }
  | { readonly type: 'progress'; readonly id: string; readonly step: number; readonly steps: number }
  | {
      readonly type: 'completed';
      readonly id: string;
      readonly prompt: string;
      readonly model: string | undefined;
      readonly imageUrls: readonly string[];
      readonly seed: number;
      /** As in `job.parameters`. */
      readonly parameters: CompletionRecord['parameters'];
      readonly warnings: readonly string[];
      readonly durationsMs: JobDurations;
    }
  | { readonly type: 'failed'; readonly id: string; readonly code: ErrorCode; readonly message: string }
  | {
      readonly type: 'retried';
      readonly id: string;
      readonly code: ErrorCode;
      readonly message: string;
      readonly delayMs: number;
    }
  | { readonly type: 'released'; readonly id: string }
  /** Cancelled, reset, deleted or taken over: nothing more is written. */
  | { readonly type: 'lost'; readonly id: string };

type WorkerOutcome = Exclude<WorkerEvent['type'], 'claimed' | 'progress'>;

/** How many documents ended which way. */
export type WorkerSummary = Readonly<Record<WorkerOutcome, number>>;
