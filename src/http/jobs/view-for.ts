/** A prompt as one caller sees it: with links under the address that this caller used. */
import { omitUndefined } from '../../lib/omit-undefined.ts';
import type { JobSummary } from '../../queue/prompt-queue.ts';
import type { Caller } from '../front/caller.ts';
import type { Estimate, Front } from '../front/front.ts';
import type { DoorTools } from '../server/door.ts';
import { type PromptView, promptView } from './prompt-view.ts';

interface ViewOptions {
  readonly caller: Caller;
  readonly tools: DoorTools;
  readonly estimate?: Estimate | undefined;
  readonly warnings?: readonly string[] | undefined;
}

export function viewFor(job: JobSummary, { caller, tools, estimate, warnings }: ViewOptions): PromptView {
  const { signer } = tools;
  return promptView(job, {
    host: caller.host,
    ...omitUndefined({
      estimate,
      warnings,
      signedUrl: signer === undefined ? undefined : (index: number) => tools.signUrl(caller, job.id, index),
    }),
  });
}

/** Only a pending job has a place in the queue. */
export async function estimateOf(
  { id, status }: JobSummary,
  front: Pick<Front, 'estimateMs'>,
): Promise<Estimate | undefined> {
  return status === 'pending' ? front.estimateMs(id) : undefined;
}
