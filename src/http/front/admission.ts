/** Whether new jobs may be added: limits of the key and of the whole queue. The counts end at the limit, so they cost the same however long the queue is. */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import type { PromptQueue } from '../../queue/prompt-queue.ts';
import type { Caller } from './caller.ts';
import type { KnownWorkers } from './known-workers.ts';
import type { FrontLimits } from './limits.ts';
import { retryAfter } from './retry-after.ts';

export interface AdmissionOptions {
  readonly queue: Pick<PromptQueue, 'depth'>;
  readonly limits: Pick<FrontLimits, 'maxQueueLength' | 'maxOpenPerKey'>;
  readonly workers: Pick<KnownWorkers, 'waitMs'>;
}

/** Counting 10,001 pending documents takes 24 ms (measured), so the count is kept for a while. */
const DEPTH_AGE_MS = 5000;

export class Admission {
  readonly #options: AdmissionOptions;
  #depth: { readonly atMs: number; count: number } | undefined;

  constructor(options: AdmissionOptions) {
    this.#options = options;
  }

  /** Soft: several servers count each for themselves. @throws `rate_limit_exceeded`, `too_many_pending` */
  async admit({ key }: Pick<Caller, 'key'>, jobs: number): Promise<void> {
    const { maxOpenPerKey, maxQueueLength } = this.#options.limits;
    if (key !== undefined) {
      await this.#checkKey({ tenant: key.name, status: 'pending' }, jobs, key.limits.maxPending);
      await this.#checkKey({ tenant: key.name, status: 'open' }, jobs, key.limits.maxOpen ?? maxOpenPerKey);
    }
    const pending = await this.#pending();
    if (pending.count + jobs > maxQueueLength)
      throw this.#refusal(
        new Text2ImgError(
          'too_many_pending',
          `${maxQueueLength} jobs are pending, which is the most this server lets wait.`,
        ),
        pending.count + jobs - maxQueueLength,
      );
    pending.count += jobs;
  }

  async #checkKey(
    which: { readonly tenant: string; readonly status: 'pending' | 'open' },
    jobs: number,
    most: number | undefined,
  ): Promise<void> {
    if (most === undefined) return;
    const count = await this.#options.queue.depth({ ...which, most: most + 1 });
    if (count + jobs <= most) return;
    const what = which.status === 'open' ? 'open jobs' : 'pending jobs';
    const sentence = `This API key may have ${most} ${what}, has ${Math.min(count, most)}, and asks for ${jobs} more.`;
    throw this.#refusal(new Text2ImgError('rate_limit_exceeded', sentence), count + jobs - most);
  }

  /** @param overhang so many jobs must end before this one fits */
  #refusal(error: Text2ImgError, overhang: number): Text2ImgError {
    const waitMs = this.#options.workers.waitMs(overhang);
    return retryAfter(error, waitMs === undefined ? undefined : waitMs / 1000);
  }

  async #pending(): Promise<{ count: number }> {
    if (this.#depth === undefined || performance.now() - this.#depth.atMs > DEPTH_AGE_MS) {
      const { queue, limits } = this.#options;
      const count = await queue.depth({ status: 'pending', most: limits.maxQueueLength + 1 });
      this.#depth = { atMs: performance.now(), count };
    }
    return this.#depth;
  }
}
