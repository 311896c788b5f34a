/**
 * The `txt2img` requests of a caller at all servers of the queue: progress, interrupt and skip are about these alone. Each server keeps those that it
 * waits for in the side data. Without the right to write there a server knows its own ones only.
 */
import type { ErrorCode } from '../../errors/error-codes.ts';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import type { Logger } from '../../observability/logger.ts';
import type { FollowedJob } from '../../queue/prompt-queue.ts';
import type { KeepWaitingOptions, RequestStop, WaitingRequest } from '../../queue/side-data.ts';
import type { Caller } from '../front/caller.ts';
import type { Front } from '../front/front.ts';
import { callerName, type RunningRequest, type RunningRequests, type ShownRequest } from './running-requests.ts';

export interface SharedRequestsOptions {
  readonly front: Pick<Front, 'waits' | 'follow' | 'cancel'>;
  readonly running: RunningRequests;
  readonly logger: Logger;
}

/** An entry lasts ten. */
const RENEW_MS = 5000;
/** So long a client may stop a job that its request has left behind. Until then the front has cancelled what nobody comes back for. */
const LEFT_MS = 15_000;
/** The request ended, and its jobs go on. */
const LEAVES_JOBS: ReadonlySet<ErrorCode> = new Set(['client_disconnected', 'wait_timeout', 'shutting_down']);

interface OtherRequest extends ShownRequest {
  readonly id: string;
  readonly isLeft: boolean;
}

export class SharedRequests {
  readonly #options: SharedRequestsOptions;

  constructor(options: SharedRequestsOptions) {
    this.#options = options;
  }

  /** Those that somebody waits for; this server's own first, in the order in which they began. */
  async of(caller: Caller): Promise<readonly ShownRequest[]> {
    const others = await this.#others(caller);
    return [...this.#options.running.of(caller), ...others.filter(({ isLeft }) => !isLeft)];
  }

  /** Cancels all open jobs, or the first one of each request. Requests that wait answer with what is done. */
  async stop(caller: Caller, verb: 'interrupt' | 'skip'): Promise<void> {
    const { running, front } = this.#options;
    const own = running.of(caller).flatMap((request) => request[verb]());
    const others = await this.#others(caller);
    const how: RequestStop = verb === 'interrupt' ? 'interrupted' : 'skipped';
    // First, so that the server that waits knows why its jobs ended.
    await Promise.all(others.map(({ id }) => front.waits.stop(callerName(caller), id, how)));
    const most = verb === 'interrupt' ? Infinity : 1;
    const ids = [...own, ...others.flatMap(({ open }) => open.slice(0, most))];
    await Promise.all(ids.map((id) => front.cancel(caller, id).catch(unlessGone)));
  }

  /** How the caller stopped this server's request, perhaps at another server. */
  async stopOf(caller: Caller, request: RunningRequest): Promise<RequestStop | undefined> {
    if (request.stop !== undefined) return request.stop;
    const kept = await this.#options.front.waits.of(callerName(caller));
    return kept.find(({ id }) => id === request.id)?.stop;
  }

  /** Runs `wait` as a request of the caller that is waited for. Once it has ended no server shows it. */
  async during<T>(caller: Caller, ids: readonly string[], wait: (request: RunningRequest) => Promise<T>): Promise<T> {
    return await this.#options.running.during(caller, ids, async (request) => {
      const kept = new KeptRequest(request, { ...this.#options, caller: callerName(caller) });
      await kept.begin();
      try {
        const result = await wait(request);
        await kept.end();
        return result;
      } catch (error) {
        await (error instanceof Text2ImgError && LEAVES_JOBS.has(error.code) ? kept.leave() : kept.end());
        throw error;
      }
    });
  }

  /** Of other servers: those with open jobs. One whose server crashed is there for ten seconds more. */
  async #others(caller: Caller): Promise<readonly OtherRequest[]> {
    const { front, running } = this.#options;
    const own = new Set<string>(running.of(caller).map(({ id }) => id));
    const kept = await front.waits.of(callerName(caller));
    const others = kept.filter(({ id }) => !own.has(id));
    const jobs = await front.follow(caller, [...new Set(others.flatMap(({ promptIds }) => promptIds))]);
    const byId = new Map(jobs.map((job) => [job.id, job]));
    return others.map((request) => otherRequest(request, byId)).filter(({ open }) => open.length > 0);
  }
}

function otherRequest(
  { id, promptIds: ids, isLeft, stop, elapsedMs }: WaitingRequest,
  jobs: ReadonlyMap<string, FollowedJob>,
): OtherRequest {
  const open = ids.filter((one) => jobs.get(one)?.ended === false);
  const [current] = open;
  const steps = (current === undefined ? undefined : jobs.get(current)?.progress) ?? { step: 0, steps: 0 };
  return { id, ids, open, current, steps, elapsedMs, stop, isLeft };
}

interface KeptOptions extends Pick<SharedRequestsOptions, 'front' | 'logger'> {
  readonly caller: string;
}

/** A request of this server in the side data, from its begin to its end. One write follows the other: a late one would bring it back. */
class KeptRequest {
  readonly #request: RunningRequest;
  readonly #options: KeptOptions;
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();

  constructor(request: RunningRequest, options: KeptOptions) {
    this.#request = request;
    this.#options = options;
  }

  async begin(): Promise<void> {
    this.#request.onBegun = () => void this.#keep();
    this.#timer = setInterval(() => void this.#keep(), RENEW_MS);
    await this.#keep();
  }

  async end(): Promise<void> {
    this.#stopRenewing();
    const { front, caller } = this.#options;
    await this.#write(() => front.waits.end(caller, this.#request.id));
  }

  /** Its jobs may be stopped for a while. */
  async leave(): Promise<void> {
    this.#stopRenewing();
    await this.#keep({ isLeft: true, forMs: LEFT_MS });
  }

  #stopRenewing(): void {
    clearInterval(this.#timer);
    this.#request.onBegun = undefined;
  }

  #keep(options: KeepWaitingOptions = {}): Promise<void> {
    const { front, caller } = this.#options;
    const { id, ids: promptIds, elapsedMs } = this.#request;
    const hasBegun = elapsedMs !== undefined;
    return this.#write(() => front.waits.keep(caller, { id, promptIds }, { hasBegun, ...options }));
  }

  /** An image must not fail because other servers cannot tell its progress. */
  #write(write: () => Promise<void>): Promise<void> {
    const { logger } = this.#options;
    this.#writing = this.#writing
      .then(write)
      .catch((error: unknown) => logger.repeated('a request cannot be shown to other servers', { error }));
    return this.#writing;
  }
}

/** The job ended and was removed meanwhile. */
export function unlessGone(error: unknown): undefined {
  if (error instanceof Text2ImgError && error.code === 'not_found') return undefined;
  throw error;
}
