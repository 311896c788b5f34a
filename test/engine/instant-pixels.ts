/** What the instant engine draws: a function of the request, so that a test can tell whose picture it has before it. */
import { createCipheriv, createHash } from 'node:crypto';
import type { ResolvedGenerationRequest } from '../../src/job/generation-request.ts';

/** Every pixel tells the request and the image's seed. */
export function instantPixels(request: ResolvedGenerationRequest, imageIndex: number): Uint8Array<ArrayBuffer> {
  const facts = JSON.stringify({ ...request, seed: request.seed + imageIndex, numImages: 1 });
  const digest = createHash('sha256').update(facts).digest();
  const sizeBytes = request.widthPx * request.heightPx * 3;
  // The digest over and over, or a stream of random bytes from it.
  if (!request.prompt.includes('[noise]')) return new Uint8Array(Buffer.alloc(sizeBytes, digest));
  const stream = createCipheriv('aes-128-ctr', digest.subarray(0, 16), digest.subarray(16));
  return new Uint8Array(stream.update(Buffer.alloc(sizeBytes)));
}
