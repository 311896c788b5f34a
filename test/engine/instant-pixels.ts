/** What the instant engine draws: a function of the request, so that a test can tell whose picture it has before it. */
import { createHash } from 'node:crypto';
import type { ResolvedGenerationRequest } from '../../src/job/generation-request.ts';

/** Every pixel tells the request and the image's seed. */
export function instantPixels(request: ResolvedGenerationRequest, imageIndex: number): Uint8Array<ArrayBuffer> {
  const facts = JSON.stringify({ ...request, seed: request.seed + imageIndex, numImages: 1 });
  const digest = createHash('sha256').update(facts).digest();
  // The digest over and over.
  return new Uint8Array(Buffer.alloc(request.widthPx * request.heightPx * 3, digest));
}
