/** What readers of foreign input are fed with, and how they may answer. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { ErrorFault } from '../../src/errors/error-codes.ts';
import { Text2ImgError } from '../../src/errors/text2img-error.ts';

/** Runs a reader; what it refuses must be somebody's fault, and said in one bounded sentence. */
export async function readOrRefuse(read: () => unknown, faults: readonly ErrorFault[]): Promise<void> {
  try {
    await read();
  } catch (error) {
    assert.ok(error instanceof Text2ImgError, `not ours: ${String(error)} ${(error as Error).stack}`);
    assert.ok(faults.includes(error.fault), `${error.code}: ${error.message} ${error.stack}`);
    assert.ok(error.message.length <= 600);
  }
}

export const hostileName = fc.constantFrom('__proto__', 'constructor', 'toString', 'hasOwnProperty', 'valueOf');
export const hostileNumber = fc.constantFrom(0, -1, 1.5, 2 ** 31, 2 ** 53, 1e300, -1e300, 1e-300);
/** Random JSON, and values that readers get wrong. */
export const anyValue: fc.Arbitrary<unknown> = fc.oneof(
  fc.jsonValue({ maxDepth: 3 }),
  hostileNumber,
  fc.string(),
  hostileName,
);
