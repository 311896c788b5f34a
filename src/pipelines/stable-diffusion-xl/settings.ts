/** The pipeline's own settings in `model_index.json`. */
import type { ModelIndex } from '../../checkpoint/model-index.ts';
import { own } from '../../lib/foreign-record.ts';

/** Whether an absent negative prompt is zeros instead of the embeddings of an empty text. diffusers' default is true. */
export function forcesZeros({ settings }: Pick<ModelIndex, 'settings'>): boolean {
  const stated = own(settings, 'force_zeros_for_empty_prompt');
  return stated === undefined || Boolean(stated);
}
