/** Opens a checkpoint of one of the families that there are. */
import { openCheckpoint, type OpenedCheckpoint } from '../../src/checkpoint/open-checkpoint.ts';
import { FAMILIES } from '../../src/pipelines/registry.ts';

export function openKnown(
  folder: string,
  options: { readonly variant?: string; readonly vae?: string } = {},
): Promise<OpenedCheckpoint<(typeof FAMILIES)[number]>> {
  return openCheckpoint(folder, { ...options, families: FAMILIES });
}
