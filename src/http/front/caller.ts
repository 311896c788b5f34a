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
  readonly door: DoorName;
  /** Scheme and host that the client used, without a slash at its end: for absolute URLs. `--public-url` comes before it. */
  readonly host: string;
}
