/** Which images share a pass of the UNet, and their tensors as one. */
import { batchKey } from '../job/batch-key.ts';
import type { ResolvedGenerationRequest } from '../job/generation-request.ts';

/** Neighbours that can share a pass, by the table of request fields. */
export function batchesOf<T extends { readonly job: { readonly request: ResolvedGenerationRequest } }>(
  images: readonly T[],
  maxImages: number,
): T[][] {
  const batches: T[][] = [];
  for (const image of images) {
    const last = batches.at(-1);
    const canJoin =
      last !== undefined &&
      last.length < maxImages &&
      batchKey((last[0] as T).job.request) === batchKey(image.job.request);
    if (canJoin) last.push(image);
    else batches.push([image]);
  }
  return batches;
}

/** One array after the other. */
export function joined(parts: readonly Float32Array[]): Float32Array {
  if (parts.length === 1) return parts[0] as Float32Array;
  const whole = new Float32Array(parts.reduce((length, part) => length + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}
