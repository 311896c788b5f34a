/** The jobs under which the engine crashed since the last image, so that they get their attempts back if they are not at fault. */
import type { DocumentId } from '../job/document-id.ts';
import type { ClaimedPrompt, WaitingPrompt } from '../queue/prompt-queue.ts';

/** So many crashes under different jobs are more likely the machine's fault than theirs. */
const SUSPICIOUS = 3;

interface PutOff {
  readonly id: DocumentId;
  readonly waitToken: string;
  readonly attempts: number;
}

export class EngineDeaths {
  /** One entry a batch: the crash of a batch counts once. */
  readonly #groups = new Set<string>();
  readonly #putOff = new Map<string, PutOff>();

  /** The engine crashed under these. */
  add(claims: readonly ClaimedPrompt[]): void {
    this.#groups.add(
      claims
        .map(({ runId }) => runId)
        .toSorted()
        .join(' '),
    );
  }

  get areSuspicious(): boolean {
    return this.#groups.size >= SUSPICIOUS;
  }

  /** An attempt of it was counted, and it waits for the next one under this token. */
  putOff({ id, runId }: ClaimedPrompt, waitToken: string): void {
    const attempts = (this.#putOff.get(runId)?.attempts ?? 0) + 1;
    this.#putOff.set(runId, { id, waitToken, attempts });
  }

  /** A job was generated, or a probe succeeded: the jobs caused the crashes. */
  clear(): void {
    this.#groups.clear();
    this.#putOff.clear();
  }

  /** @returns all that wait, with the attempts to return; forgets them */
  take(): readonly WaitingPrompt[] {
    const waiting = Array.from(this.#putOff, ([runId, entry]) => ({ runId, ...entry }));
    this.clear();
    return waiting;
  }
}
