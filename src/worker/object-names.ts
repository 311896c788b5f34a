/** The names of one job's images: the plain one, or the hashed one when another document has the plain one already. */
import type { ClaimedPrompt, TransitionOutcome } from '../queue/prompt-queue.ts';
import { hashedName, isHashedName, objectKey } from '../storage/object-key.ts';

export interface ObjectNamesOptions {
  readonly claim: ClaimedPrompt;
  readonly prefix: string;
  /** Writes the name into the document, under its token. */
  readonly record: (objectName: string) => Promise<TransitionOutcome>;
}

export class ObjectNames {
  readonly #options: ObjectNamesOptions;
  #objectName: string | undefined;

  constructor(options: ObjectNamesOptions) {
    this.#options = options;
    this.#objectName = options.claim.objectName;
  }

  /** No other document can have it. */
  get isHashed(): boolean {
    return isHashedName(this.#options.claim.id, this.#objectName);
  }

  keyOf(imageIndex: number): string {
    const { claim, prefix } = this.#options;
    return objectKey(claim.id, { prefix, imageIndex, objectName: this.#objectName });
  }

  /** From now on, for every attempt: so it is written into the document before anything is stored under it. False: the document is no longer ours. */
  async takeHashed(): Promise<boolean> {
    const { claim, record } = this.#options;
    const name = hashedName(claim.id);
    if ((await record(name)) === 'lost') return false;
    this.#objectName = name;
    return true;
  }
}
