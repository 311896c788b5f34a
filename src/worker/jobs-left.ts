/** The end of a drain that leaves jobs behind which nobody may touch. */
import { Text2ImgError } from '../errors/text2img-error.ts';

export interface JobsLeft {
  readonly refused: number;
  readonly stuck: number;
  readonly reason?: Text2ImgError | undefined;
}

export function jobsLeft({ refused, stuck, reason }: JobsLeft): Text2ImgError {
  const parts = [
    ...(refused > 0 ? [`${refused} pending that the database refuses to change`] : []),
    ...(stuck > 0 ? [`${stuck} processing that another program left without a lease`] : []),
  ];
  const why = reason === undefined ? '' : ` (${reason.message.replace(/\.$/, '')})`;
  return new Text2ImgError(
    'jobs_left',
    `the queue still has jobs that no worker can claim: ${parts.join(', ')}${why}. "text2img doctor" names them.`,
  );
}
