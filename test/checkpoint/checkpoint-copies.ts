/** Copies of the small checkpoint of `test/golden/base` with something changed in them. */
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';

/** A tiny checkpoint of each family. */
type Base = 'base' | 'base-xl' | 'base-lcm';

export const UNET = 'unet/diffusion_pytorch_model.safetensors';
export const VAE = 'vae/diffusion_pytorch_model.safetensors';
export const TEXT = 'text_encoder/model.safetensors';

export function copyOfBase(t: TestContext, base: Base = 'base'): string {
  const folder = mkdtempSync(join(tmpdir(), 'text2img-checkpoint-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  cpSync(fileURLToPath(new URL(`../golden/${base}`, import.meta.url)), folder, { recursive: true });
  return folder;
}

/** Sets keys of a JSON file. */
export function setKeys(path: string, keys: Readonly<Record<string, unknown>>): void {
  const json = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
  writeFileSync(path, JSON.stringify({ ...json, ...keys }));
}

export interface StoredTensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data: Buffer;
}

export function readTensors(path: string): Map<string, StoredTensor> {
  const bytes = readFileSync(path);
  const start = 8 + Number(bytes.readBigUInt64LE());
  const header = JSON.parse(bytes.subarray(8, start).toString()) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >;
  return new Map(
    Object.entries(header)
      .filter(([name]) => name !== '__metadata__')
      .map(
        ([
          name,
          {
            dtype,
            shape,
            data_offsets: [from, to],
          },
        ]) => [name, { dtype, shape, data: bytes.subarray(start + from, start + to) }],
      ),
  );
}

/** @param headerBytes the header is filled up with spaces to this length, as the format allows */
export function writeTensors(path: string, tensors: ReadonlyMap<string, StoredTensor>, headerBytes = 0): void {
  let end = 0;
  const header = [...tensors].map(([name, { dtype, shape, data }]) => {
    const from = end;
    end += data.length;
    return [name, { dtype, shape, data_offsets: [from, end] }];
  });
  const json = Buffer.from(JSON.stringify(Object.fromEntries(header)).padEnd(headerBytes));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  writeFileSync(path, Buffer.concat([length, json, ...[...tensors.values()].map(({ data }) => data)]));
}

export function editTensors(path: string, change: (tensors: Map<string, StoredTensor>) => void): void {
  const tensors = readTensors(path);
  change(tensors);
  writeTensors(path, tensors);
}

export function zeros(shape: readonly number[]): StoredTensor {
  return { dtype: 'F32', shape, data: Buffer.alloc(4 * shape.reduce((product, size) => product * size, 1)) };
}

/** A copy whose network overflows in float16: a vector of its weights has numbers that are more than float16 holds, and nothing for float32. */
export function copyWithLarge(t: TestContext, file: string, name: string, base?: Base): string {
  const folder = copyOfBase(t, base);
  editTensors(join(folder, file), (tensors) => {
    const tensor = tensors.get(name);
    assert.ok(tensor !== undefined && tensor.shape.length === 1, name);
    const large = Float32Array.from({ length: tensor.shape[0] ?? 0 }, (_, index) => (index % 2 === 0 ? 1e6 : -1e6));
    tensors.set(name, { ...tensor, dtype: 'F32', data: Buffer.from(large.buffer) });
  });
  return folder;
}
