/**
 * Jobs that lost their request, and retries that take them over. OpenAI's SDKs send a request again after a broken connection, without any key of its
 * own: without this, each retry would generate the image anew. Only a retry takes over, never a first request.
 */
import { pause } from '../../lib/pause.ts';
import type { PromptQueue } from '../../queue/prompt-queue.ts';
import type { Orphan, SideData } from '../../queue/side-data.ts';
import type { Caller } from './caller.ts';

export interface AdoptionOptions {
  readonly queue: Pick<PromptQueue, 'adopt' | 'follow'>;
  readonly sideData: Pick<SideData, 'orphans' | 'watches'>;
}

/** The hold of a request that waits: its job, and the key under which it is offered. */
export interface Held {
  readonly orphanKey: string;
  readonly promptId: string;
  /** The job's `job.door`. */
  readonly door: string;
}

/** A request that is gone without a word shows after the ten seconds of its mark. */
const PATIENCE_MS = 11_000;
/** The server that lost the request may be about to say so. */
const SECOND_LOOK_MS = 1000;
const LOOK_MS = 500;

export class Adoption {
  readonly #options: AdoptionOptions;

  constructor(options: AdoptionOptions) {
    this.#options = options;
  }

  /** Before the document is added, so that it is there also when this process is killed. */
  async offer({ orphanKey, promptId, door }: Held, { isReleased }: Pick<Orphan, 'isReleased'>): Promise<void> {
    await this.#options.sideData.orphans.offer({ key: orphanKey, promptId, door, isReleased });
  }

  async withdraw({ orphanKey, promptId }: Pick<Held, 'orphanKey' | 'promptId'>): Promise<void> {
    await this.#options.sideData.orphans.withdraw(orphanKey, promptId);
  }

  /** @returns the job that the retry has now; undefined: none, so it makes one */
  async takeOver(caller: Pick<Caller, 'requestId' | 'gone'>, orphanKey: string): Promise<string | undefined> {
    const { orphans, watches } = this.#options.sideData;
    const endMs = performance.now() + PATIENCE_MS;
    for (let isFirstLook = true; !caller.gone.aborted; ) {
      const orphan = await orphans.take(orphanKey);
      if (orphan === undefined) {
        if (!isFirstLook) return undefined;
        isFirstLook = false;
        await pause(SECOND_LOOK_MS, caller.gone);
        continue;
      }
      const msLeft = orphan.isReleased ? 0 : await watches.msLeft(orphan.promptId);
      if (msLeft > 0) {
        // Somebody may still wait for it.
        await orphans.offer({ key: orphanKey, ...orphan });
        if (performance.now() > endMs) return undefined;
        await pause(Math.min(msLeft, LOOK_MS), caller.gone);
      } else if (await this.#isOurs(orphan, caller.requestId)) return orphan.promptId;
    }
    return undefined;
  }

  /** A job that ended well is answered as it is. */
  async #isOurs({ promptId, door }: Orphan, requestId: string): Promise<boolean> {
    if (await this.#options.queue.adopt(promptId, { from: door, to: requestId })) return true;
    return (await this.#options.queue.follow([promptId])).get(promptId)?.status === 'completed';
  }
}
