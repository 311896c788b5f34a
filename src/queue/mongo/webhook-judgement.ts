/** Which of a document's webhooks are the service's own, as far as the known keys tell. */
import { documentIdOf } from './bson-ids.ts';
import type { PromptsCollection } from './prompts-collection.ts';
import type { WholeHook } from './webhook-place.ts';
import { isProven } from './webhook-proof.ts';

export interface Judgement {
  readonly isProven: (hook: WholeHook) => boolean;
  /** It has a proof, which may be of a key that is not known here yet. A webhook without any proof is decided. */
  readonly isOpen: (hook: WholeHook) => boolean;
}

export async function judge(prompts: PromptsCollection, id: unknown, hooks: readonly WholeHook[]): Promise<Judgement> {
  const documentId = documentIdOf(id);
  const known = await prompts.webhookKeys.toRead();
  const isProvenByKnown = (hook: WholeHook): boolean => isProven(known.keys, documentId, hook);
  if (hooks.every(isProvenByKnown)) return { isProven: isProvenByKnown, isOpen: () => false };
  // Another worker may have made a key since.
  const { keys, isCurrent } = await prompts.webhookKeys.toRead({ isStale: true });
  const isProvenNow = (hook: WholeHook): boolean => isProven(keys, documentId, hook);
  return { isProven: isProvenNow, isOpen: (hook) => !isCurrent && hook.proof !== undefined && !isProvenNow(hook) };
}
