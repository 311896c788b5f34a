/** Refuses a `clip_skip` that leaves no layer of a text encoder. */
import { whole } from '../../job/field-types.ts';
import type { ResolvedGenerationRequest } from '../../job/generation-request.ts';
import { REQUEST_FIELDS } from '../../job/request-fields.ts';
import type { TextEncoder } from './networks.ts';

/** @param encoders all leave out as many layers @throws `invalid_parameter` */
export function checkClipSkip(
  { clipSkip }: ResolvedGenerationRequest,
  ...encoders: readonly Pick<TextEncoder, 'layers'>[]
): void {
  const allowed = whole({ min: 0, max: Math.min(...encoders.map(({ layers }) => layers)) - 1 });
  if (clipSkip === null || allowed.parse(clipSkip) !== undefined) return;
  throw allowed.refuse(REQUEST_FIELDS.clipSkip.wire, clipSkip);
}
