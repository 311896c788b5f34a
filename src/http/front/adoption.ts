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
  readonly sideData: Pick<SideData, 'orphans'>;
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

  /** The offer of this request. A retry that took the job over has an offer of its own, which stays. */
  async withdrawOwn({ orphanKey, promptId, door }: Held): Promise<void> {
    await this.#options.sideData.orphans.withdraw(orphanKey, promptId, door);
  }

  /** @returns the job that the retry has now; undefined: none, so it makes one */
  async takeOver(caller: Pick<Caller, 'requestId' | 'gone'>, orphanKey: string): Promise<string | undefined> {
    const endMs = performance.now() + PATIENCE_MS;
    for (let isFirstLook = true; !caller.gone.aborted; ) {
      const orphan = await this.#options.sideData.orphans.take(orphanKey);
      if (orphan === 'held') {
        if (performance.now() > endMs) return undefined;
        await pause(LOOK_MS, caller.gone);
      } else if (orphan !== undefined) {
        if (await this.#take(orphan, { orphanKey, promptId: orphan.promptId, door: caller.requestId }))
          return orphan.promptId;
      } else if (isFirstLook) {
        isFirstLook = false;
        await pause(SECOND_LOOK_MS, caller.gone);
      } else return undefined;
    }
    return undefined;
  }

  /** The new offer comes first and the old one goes last. So the job stays offered when this process is killed in between. */
  async #take({ promptId, door }: Orphan, held: Held): Promise<boolean> {
    const { orphans } = this.#options.sideData;
    await this.offer(held, { isReleased: false });
    const isOurs = await this.#isOurs({ promptId, door }, held.door);
    if (!isOurs) await orphans.withdraw(held.orphanKey, promptId, held.door);
    await orphans.withdraw(held.orphanKey, promptId, door);
    return isOurs;
  }

  /** A job that ended well is answered as it is. */
  async #isOurs({ promptId, door }: Pick<Orphan, 'promptId' | 'door'>, requestId: string): Promise<boolean> {
    if (await this.#options.queue.adopt(promptId, { from: door, to: requestId })) return true;
    return (await this.#options.queue.follow([promptId])).get(promptId)?.status === 'completed';
  }
}
