/** The caller of a request, as every door hands it to the front. */
import type { KeyLimits } from './limits.ts';

export type DoorName = 'jobs' | 'openai' | 'a1111' | 'ollama' | 'mcp';

/** A key as its file has it, without the secret. */
export interface ApiKey {
  /** Its jobs carry it as `job.tenant`. */
  readonly name: string;
  /** Sees and changes the jobs of all. */
  readonly isAdmin: boolean;
  readonly limits: KeyLimits;
}

/** `lost`: the connection broke before the client had all of it, or it says that the same request may be sent again. */
export type AnswerOutcome = 'taken' | 'lost';

export interface Caller {
  /** Undefined: the server asks for no keys, and everybody sees everything. */
  readonly key: ApiKey | undefined;
  /** On the answer as `x-request-id`, and in the log. */
  readonly requestId: string;
  /** As the client sent it; the front checks it. */
  readonly idempotencyKey?: string;
  /** `x-stainless-retry-count` of OpenAI's SDKs: 0 for a first attempt. */
  readonly retryCount: number;
  /** Aborted when the client disconnects before it has its answer. */
  readonly gone: AbortSignal;
  /** Tells once how the answer ended. Undefined: the wait's end is the answer. */
  readonly answered?: (listener: (outcome: AnswerOutcome) => void) => void;
  readonly door: DoorName;
  /** Scheme and host that the client used, without a slash at its end: for absolute URLs. `--public-url` comes before it. */
  readonly host: string;
}
