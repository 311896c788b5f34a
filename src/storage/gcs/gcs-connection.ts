/**
 * Requests to one bucket. Each attempt has a deadline, and a request is repeated while that may help. If the bucket does not accept the token, the
 * attempt gets a new one. At the end the caller gets one of our own errors.
 */
import { retry } from '../../lib/retry.ts';
import type { Logger } from '../../observability/logger.ts';
import { GcsClient } from './gcs-client.ts';
import { isCredentialsFault, isTransient, retryAfterMs, safeMessage, statusOf, storeError } from './gcs-errors.ts';
import { type OnProgress, withDeadline } from './gcs-requests.ts';

export interface GcsConnectionOptions {
  readonly bucket: string;
  readonly logger: Logger;
  /** An emulator's URL instead of Google's; it is sent no credentials. */
  readonly apiEndpoint: string | undefined;
  /** The operator's, for the bucket. */
  readonly proxy?: string | undefined;
  /** Variables that Google's client must find in the environment of the process; `config/google.ts` lists them. */
  readonly variables?: Readonly<Record<string, string>>;
  /** How long one attempt may be silent. */
  readonly tryMs?: number;
  /** How long a request is repeated. */
  readonly deadlineMs?: number;
}

export interface RequestLimits {
  readonly signal?: AbortSignal | undefined;
  readonly deadlineMs?: number | undefined;
  /** No second attempt. */
  readonly once?: boolean;
}

/** One request by the client of the moment. */
export type Action<T> = (client: GcsClient, onProgress: OnProgress) => Promise<T>;

const PAUSES = { firstMs: 250, maxMs: 8000 } as const;
/** Nobody waits longer because a server says so. */
const MAX_RETRY_AFTER_MS = 30_000;
const DEADLINE_MS = 180_000;
const TRY_MS = 45_000;

export class GcsConnection {
  readonly #options: GcsConnectionOptions;
  #client: GcsClient;
  /** The bucket has accepted the client's token; a new one that it does not accept either is not replaced at once. */
  #isAccepted = false;

  constructor(options: GcsConnectionOptions) {
    this.#options = options;
    this.#client = new GcsClient(options);
  }

  /** Attempts with a deadline each, repeated. */
  async request<T>(what: string, action: Action<T>, limits: RequestLimits): Promise<T> {
    return this.repeat(what, (leftMs) => this.tryOnce(action, { signal: limits.signal, leftMs }), limits);
  }

  /** One attempt, with a new token if the bucket did not accept the old one: it may have been revoked before it expired. */
  async tryOnce<T>(
    action: Action<T>,
    { signal, leftMs }: { readonly signal: AbortSignal | undefined; readonly leftMs: number },
  ): Promise<T> {
    const options = { silenceMs: Math.min(this.#options.tryMs ?? TRY_MS, Math.max(1, leftMs)), signal };
    const client = this.#client;
    const once = async (): Promise<T> => {
      const result = await withDeadline((onProgress) => action(this.#client, onProgress), options);
      this.#isAccepted = true;
      return result;
    };
    try {
      return await once();
    } catch (error) {
      // An emulator is sent no token.
      if (signal?.aborted === true || this.#options.apiEndpoint !== undefined || !isCredentialsFault(error))
        throw error;
      const mayHaveExpired = statusOf(error) === 401 && (this.#isAccepted || this.#client !== client);
      // The next request reads the key file anew: who waits here waits for another one.
      if (this.#client === client) {
        this.#client = new GcsClient(this.#options);
        this.#isAccepted = false;
      }
      if (!mayHaveExpired) throw error;
      return await once();
    }
  }

  async repeat<T>(
    what: string,
    action: (leftMs: number) => Promise<T>,
    { signal, deadlineMs, once = false }: RequestLimits,
  ): Promise<T> {
    const { logger, bucket } = this.#options;
    signal?.throwIfAborted();
    try {
      return await retry(action, {
        ...PAUSES,
        mayHelp: isTransient,
        deadlineMs: deadlineMs ?? this.#options.deadlineMs ?? DEADLINE_MS,
        maxAttempts: once ? 1 : Infinity,
        minPauseMs: (error) => Math.min(retryAfterMs(error, Date.now()) ?? 0, MAX_RETRY_AFTER_MS),
        signal,
        onFailure: (error, { failures, pauseMs }) =>
          logger.repeated('a request to the bucket failed and is repeated', {
            what,
            try: failures,
            pause_ms: Math.round(pauseMs),
            error: { message: safeMessage(error) },
          }),
      });
    } catch (error) {
      // An abort may surface as a broken connection.
      signal?.throwIfAborted();
      throw storeError(error, bucket);
    }
  }
}
