/**
 * Checkpoints of full size with random weights, each one float16 file in the original layout, made once below the cache folder: 2 GB of Stable Diffusion
 * 1.5, 7 GB of XL. All programs that the benchmark compares read the same file. CLIP's vocabulary lies beside it for those that bring none.
 */
import { existsSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { packagedClipTokenizer } from '../src/checkpoint/single-file/clip-vocabulary.ts';
import { type FullSizeTensor, writeHeader } from '../test/checkpoint/single-file/full-size.ts';
import { KNOWN_CHECKPOINTS } from '../test/checkpoint/single-file/known-checkpoints.ts';
import type { ShapeName } from './unet-shapes.ts';

/** Below the cache folder, outside the clone. */
export const BENCH_FOLDER = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'text2img', 'bench');

const CHECKPOINTS = {
  sd15: { file: 'sd15-random.safetensors', known: 'Stable Diffusion 1.5' },
  sdxl: { file: 'xl-random.safetensors', known: 'Stable Diffusion XL' },
} as const satisfies Record<ShapeName, object>;

/** Elements of the numbers that all tensors share, each with its own scale. */
const BLOCK = 2 ** 20;

/** @returns the path of the file */
export async function makeCheckpoint(name: ShapeName): Promise<string> {
  const { file, known } = CHECKPOINTS[name];
  const path = join(BENCH_FOLDER, file);
  if (existsSync(path)) return path;
  mkdirSync(BENCH_FOLDER, { recursive: true });
  const tensors = writeHeader(`${path}.part`, KNOWN_CHECKPOINTS[known]);
  await fillRandom(`${path}.part`, tensors);
  renameSync(`${path}.part`, path);
  return path;
}

/** Writes random numbers of float16 over the tensors of a file, the same at each call. */
export async function fillRandom(path: string, tensors: readonly FullSizeTensor[]): Promise<void> {
  await using file = await open(path, 'r+');
  const random = Float32Array.from({ length: BLOCK }, randomNumbers());
  const blocks = new Map<string, Float16Array>();
  for (const { name, shape, offsetBytes } of tensors) {
    const elements = shape.reduce((product, size) => product * size, 1);
    const { mean, deviation } = distributionOf({ name, shape });
    const key = `${mean} ${deviation}`;
    const block = blocks.get(key) ?? Float16Array.from(random, (value) => mean + value * deviation);
    blocks.set(key, block);
    for (let first = 0; first < elements; first += BLOCK)
      await file.write(block, 0, 2 * Math.min(BLOCK, elements - first), offsetBytes + 2 * first);
  }
}

/** −1 … 1, the same at each start. */
function randomNumbers(): () => number {
  let state = 1;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
}

/** Norms near one, biases near zero, the rest by the number of inputs, so that activations stay finite. */
function distributionOf({ name, shape }: Pick<FullSizeTensor, 'name' | 'shape'>): { mean: number; deviation: number } {
  if (shape.length === 1) return { mean: name.endsWith('.weight') ? 1 : 0, deviation: 0.02 };
  return { mean: 0, deviation: 1 / Math.sqrt(shape.slice(1).reduce((product, size) => product * size, 1)) };
}

/** CLIP's tokenizer in the files of `transformers`. @returns its folder */
export async function makeTokenizer(): Promise<string> {
  const folder = join(BENCH_FOLDER, 'tokenizer');
  mkdirSync(folder, { recursive: true });
  const { vocab, merges } = await packagedClipTokenizer('<|endoftext|>');
  writeFileSync(join(folder, 'vocab.json'), JSON.stringify(Object.fromEntries(vocab)));
  writeFileSync(join(folder, 'merges.txt'), `#version: 0.2\n${merges.map((pair) => pair.join(' ')).join('\n')}\n`);
  const end = '<|endoftext|>';
  const special = { bos_token: '<|startoftext|>', eos_token: end, unk_token: end, pad_token: end };
  const config = { ...special, model_max_length: 77, tokenizer_class: 'CLIPTokenizer' };
  writeFileSync(join(folder, 'tokenizer_config.json'), JSON.stringify(config));
  writeFileSync(join(folder, 'special_tokens_map.json'), JSON.stringify(special));
  return folder;
}
