/**
 * Whatever a file's tensors are called and however they are shaped, opening it either works or is refused in a sentence about the model. The files are
 * known layouts with random changes, and holes in place of the weights.
 */
import assert from 'node:assert/strict';
import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import fc from 'fast-check';
import { openCheckpoint } from '../../../src/checkpoint/open-checkpoint.ts';
import { ERROR_CODES } from '../../../src/errors/error-codes.ts';
import { Text2ImgError } from '../../../src/errors/text2img-error.ts';
import { FAMILIES } from '../../../src/pipelines/registry.ts';
import { proveFit } from '../../../src/pipelines/prove-fit.ts';
import { readCaseFile } from './make-file.ts';

type Shapes = Map<string, readonly number[]>;

/** One change, to the tensor at a place between 0 and 1. */
const change = fc.record({
  at: fc.double({ min: 0, max: 0.999999, noNaN: true }),
  kind: fc.constantFrom('delete', 'rename', 'reshape', 'flatten', 'delete-module'),
  name: fc.constantFrom('x', 'input_blocks.0.0.weight', 'a..b', '.', '__proto__', 'weight.scale_weight', 'constructor'),
  shape: fc.array(fc.integer({ min: 0, max: 6 }), { maxLength: 5 }),
});

function changed(
  shapes: Shapes,
  changes: readonly { at: number; kind: string; name: string; shape: number[] }[],
): void {
  for (const { at, kind, name, shape } of changes) {
    const target = [...shapes.keys()][Math.floor(at * shapes.size)];
    if (target === undefined) return;
    const old = shapes.get(target) ?? [];
    if (kind === 'reshape') shapes.set(target, shape);
    else if (kind === 'flatten') shapes.set(target, old.slice(1));
    else if (kind === 'delete-module') {
      const module = target.split('.').slice(0, -2).join('.');
      for (const one of shapes.keys()) if (one.startsWith(`${module}.`)) shapes.delete(one);
    } else {
      shapes.delete(target);
      if (kind === 'rename') shapes.set(`${target.slice(0, target.lastIndexOf('.') + 1)}${name}`, old);
    }
  }
}

function write(path: string, shapes: Shapes): void {
  let end = 0;
  const header = [...shapes].map(([name, shape]) => {
    const from = end;
    end += 2 * shape.reduce((product, size) => product * size, 1);
    return `${JSON.stringify(name)}:${JSON.stringify({ dtype: 'F16', shape, data_offsets: [from, end] })}`;
  });
  const json = Buffer.from(`{${header.join(',')}}`);
  const start = Buffer.alloc(8);
  start.writeBigUInt64LE(BigInt(json.length));
  const file = openSync(path, 'w');
  writeSync(file, Buffer.concat([start, json]));
  ftruncateSync(file, 8 + json.length + end);
  closeSync(file);
}

for (const name of ['sd-1', 'sd-2', 'xl', 'xl-ssd-1b'])
  test(`${name} with random changes opens, or is refused as a fault of the model`, async (t: TestContext) => {
    const folder = mkdtempSync(join(tmpdir(), 'text2img-random-file-'));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const path = join(folder, 'm.safetensors');
    const original = Object.entries(readCaseFile(name, 'tensors.json') as Readonly<Record<string, number[]>>);
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 4 }), async (changes) => {
        const shapes: Shapes = new Map(original);
        changed(shapes, changes);
        write(path, shapes);
        try {
          proveFit(await openCheckpoint(path, { families: FAMILIES }));
        } catch (error) {
          assert.ok(error instanceof Text2ImgError, String(error));
          assert.equal(ERROR_CODES[error.code].fault, 'model', `${error.code}: ${error.message}`);
        }
      }),
      { numRuns: 25 },
    );
  });
