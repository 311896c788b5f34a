/** `text2img jobs retry --adopt`: makes the images that lie under a job's names the job's own, so that its next run may replace them. */
import { resolveMode } from '../config/mode.ts';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { quote } from '../lib/foreign-text.ts';
import type { PromptQueue } from '../queue/prompt-queue.ts';
import { objectKey } from '../storage/object-key.ts';
import type { QueueContext } from './command-context.ts';
import { openStore } from '../app/open-store.ts';
import { storeSettings } from '../app/settings.ts';

/**
 * Nothing in a document allows an overwrite: only this command does, for exactly what it finds now. How many were adopted.
 * @throws `wrong_job_state` for a job that has not ended; what queue and store throw
 */
export async function adoptImages(context: QueueContext, queue: PromptQueue, id: string): Promise<number> {
  const identity = await queue.identify(id);
  const summary = await queue.show(id);
  // The command itself reports a job that does not exist.
  if (identity === undefined || summary === undefined) return 0;
  if (summary.status === 'pending' || summary.status === 'processing')
    throw new Text2ImgError(
      'wrong_job_state',
      `The images of the job ${quote(id)} cannot be adopted: it has not ended yet. Wait for it, or cancel it.`,
    );
  const mode = resolveMode(context.config, context.environment);
  await using opened = await openStore(storeSettings(context.config, { ...context, mode }), context);
  await opened.store.check();
  let adopted = 0;
  for (let imageIndex = 0; ; imageIndex++) {
    const name = objectKey(identity.id, {
      prefix: context.config.gcsPrefix,
      imageIndex,
      objectName: identity.objectName,
    });
    const outcome = await opened.store.adopt(name, identity.docKey);
    if (outcome === 'absent') return adopted;
    if (outcome === 'adopted') adopted++;
  }
}
