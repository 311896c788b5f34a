/** Reap: documents whose lease ran out on their last attempt end as errors. The same write adds the pending webhook of each. */
import type { Endings } from '../prompt-queue.ts';
import { attemptsExhausted } from '../transitions.ts';
import { endEntry } from './claim-entry.ts';
import { ATTEMPTS, leaseEnded } from './expressions.ts';
import type { PromptsCollection } from './prompts-collection.ts';
import type { WalkEntry } from './walk.ts';

const HEAD_SIZE = 128;
/** A worker that was away for long finds thousands. */
const AT_ONCE = 16;
/** Then others have their turn; the next call goes on. */
const MAX_REAP_MS = 2000;

/** @returns how many */
export async function reap(prompts: PromptsCollection, endings: Endings | undefined): Promise<number> {
  const walk = prompts.walks.dead;
  const startedMs = performance.now();
  walk.restart({ isDue: false });
  let count = 0;
  for (;;) {
    const { entries, isWhole } = await walk.look(prompts, { wanted: HEAD_SIZE, size: HEAD_SIZE });
    if (entries.length === 0 && isWhole) walk.endPass();
    if (entries.length === 0) return count;
    for (let at = 0; at < entries.length && prompts.signal?.aborted !== true; at += AT_ONCE) {
      const some = entries.slice(at, at + AT_ONCE).map((entry) => reapOne(prompts, entry, endings));
      count += (await Promise.all(some)).filter((isReaped) => isReaped).length;
      await walk.calm(prompts.signal);
    }
    if (prompts.signal?.aborted === true || performance.now() - startedMs > MAX_REAP_MS) return count;
  }
}

async function reapOne(prompts: PromptsCollection, entry: WalkEntry, endings: Endings | undefined): Promise<boolean> {
  const { maxAttempts, walks } = prompts;
  const filter = leaseEnded({ $gte: [ATTEMPTS, maxAttempts] });
  const failure = attemptsExhausted(maxAttempts);
  return (await endEntry(prompts, { walk: walks.dead, entry, filter, failure, endings })) === 'ended';
}
