/** The jobs of a request's own, looked at again: they were there, so a missing one can only have been deleted. */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { quote } from '../../lib/foreign-text.ts';
import type { PromptQueue } from '../../queue/prompt-queue.ts';

/** @throws `deleted` in place of `not_found`, and what `look` throws */
export async function lookAtOwn<T>(id: string, look: Promise<T>): Promise<T> {
  try {
    return await look;
  } catch (error) {
    if (!(error instanceof Text2ImgError) || error.code !== 'not_found') throw error;
    throw new Text2ImgError('deleted', `The job ${quote(id)} has been deleted.`, { cause: error });
  }
}

/** Jobs that were added once, and are not added again. @throws `deleted` */
export async function checkThere(
  ids: readonly string[],
  { queue }: { readonly queue: Pick<PromptQueue, 'follow'> },
): Promise<void> {
  const jobs = await queue.follow(ids);
  const gone = ids.filter((id) => !jobs.has(id));
  const [first] = gone;
  if (first === undefined) return;
  const which =
    gone.length === 1 ? `The job ${quote(first)}` : `${gone.length} jobs, the first of them ${quote(first)},`;
  throw new Text2ImgError(
    'deleted',
    `${which} of this request ${gone.length === 1 ? 'has' : 'have'} been deleted. Use a new Idempotency-Key to make new ones.`,
  );
}
