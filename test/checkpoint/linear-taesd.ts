/**
 * A TAESD that does nothing but a linear function of each latent, so that its colours can be computed: red, green and blue in two rows each, one for
 * what is above 0 and one for what is below.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { type StoredTensor, writeTensors } from './checkpoint-copies.ts';

export interface LinearTaesdOptions {
  /** One row a channel: how much of it is in red, green and blue. */
  readonly rows: readonly (readonly number[])[];
  /** Of the last layer. Default: 3. */
  readonly colours?: number;
}

const FEATURES = 6;
const STAGES = 4;
const KERNEL = 9;
const CENTRE = 4;

/** @returns its folder, in diffusers' layout */
export function linearTaesd(t: Pick<TestContext, 'after'>, { rows, colours = 3 }: LinearTaesdOptions): string {
  const folder = mkdtempSync(join(tmpdir(), 'text2img-taesd-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  mkdirSync(folder, { recursive: true });
  const widths = Array.from({ length: STAGES }, () => FEATURES);
  writeFileSync(
    join(folder, 'config.json'),
    JSON.stringify({
      _class_name: 'AutoencoderTiny',
      latent_channels: rows.length,
      out_channels: colours,
      decoder_block_out_channels: widths,
      encoder_block_out_channels: widths,
      num_decoder_blocks: [0, 0, 0, 0],
      scaling_factor: 1,
    }),
  );
  writeTensors(join(folder, 'diffusion_pytorch_model.safetensors'), tensorsOf(rows, colours));
  return folder;
}

/** The layers count those without weights: an activation behind the first, an enlargement before each of the next three. */
function tensorsOf(rows: LinearTaesdOptions['rows'], colours: number): ReadonlyMap<string, StoredTensor> {
  const sign = (feature: number): number => (feature < 3 ? 1 : -1);
  const first = kernels(
    FEATURES,
    rows.length,
    (feature, channel) => sign(feature) * (rows[channel]?.[feature % 3] ?? 0),
  );
  const identity = kernels(FEATURES, FEATURES, (to, from) => (to === from ? 1 : 0));
  // The decoder ends with 2 · h − 1.
  const last = kernels(colours, FEATURES, (colour, from) => (from % 3 === colour % 3 ? sign(from) / 2 : 0));
  return new Map([
    ['decoder.layers.0.weight', first],
    ['decoder.layers.0.bias', vector(FEATURES, 0)],
    ...[3, 5, 7].map((layer) => [`decoder.layers.${layer}.weight`, identity] as const),
    ['decoder.layers.8.weight', last],
    ['decoder.layers.8.bias', vector(colours, 0.5)],
  ]);
}

/** 3 × 3, all but the centre 0. */
function kernels(to: number, from: number, centre: (to: number, from: number) => number): StoredTensor {
  const values = new Float32Array(to * from * KERNEL);
  for (let row = 0; row < to; row++)
    for (let column = 0; column < from; column++) values[(row * from + column) * KERNEL + CENTRE] = centre(row, column);
  return { dtype: 'F32', shape: [to, from, 3, 3], data: Buffer.from(values.buffer) };
}

function vector(length: number, value: number): StoredTensor {
  return { dtype: 'F32', shape: [length], data: Buffer.from(new Float32Array(length).fill(value).buffer) };
}
