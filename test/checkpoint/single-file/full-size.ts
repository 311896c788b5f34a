/**
 * Checkpoints of full size in the original layout, as sparse files: every name and shape, and no weights. As `reference/original_layout.py` writes them
 * at small size. Sources of the sizes: the configurations in diffusers' conversion scripts and ComfyUI's list of models.
 */
import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

type Shapes = Map<string, readonly number[]>;

export interface UNetPlan {
  readonly channels: readonly number[];
  /** For each level, in the order of the way, the depth of each ResNet's attention; 0: there is none. */
  readonly down: readonly (readonly number[])[];
  readonly up: readonly (readonly number[])[];
  readonly middle: number | 'resnet' | undefined;
  readonly context: number;
  readonly isLinear: boolean;
  /** Of the sizes and the pooled prompt. */
  readonly added?: number;
}

export interface TextPlan {
  readonly prefix: string;
  readonly width: number;
  readonly layers: number;
  readonly isOpenClip: boolean;
}

class Layout {
  readonly shapes: Shapes = new Map();
  #prefix = '';

  below(prefix: string, write: () => void): void {
    this.#prefix = prefix;
    write();
  }

  add(name: string, ...shape: readonly number[]): void {
    this.shapes.set(this.#prefix + name, shape);
  }

  conv(name: string, out: number, into: number, kernel = 3): void {
    this.add(`${name}.weight`, out, into, kernel, kernel);
    this.add(`${name}.bias`, out);
  }

  linear(name: string, out: number, into: number, hasBias = true): void {
    this.add(`${name}.weight`, out, into);
    if (hasBias) this.add(`${name}.bias`, out);
  }

  norm(name: string, channels: number): void {
    this.add(`${name}.weight`, channels);
    this.add(`${name}.bias`, channels);
  }
}

function unetResnet(l: Layout, name: string, [into, out, time]: readonly [number, number, number]): void {
  l.norm(`${name}.in_layers.0`, into);
  l.conv(`${name}.in_layers.2`, out, into);
  l.linear(`${name}.emb_layers.1`, out, time);
  l.norm(`${name}.out_layers.0`, out);
  l.conv(`${name}.out_layers.3`, out, out);
  if (into !== out) l.conv(`${name}.skip_connection`, out, into, 1);
}

interface Attention {
  readonly channels: number;
  readonly depth: number;
  readonly plan: UNetPlan;
}

function transformer(l: Layout, name: string, { channels, depth, plan }: Attention): void {
  l.norm(`${name}.norm`, channels);
  for (const project of ['proj_in', 'proj_out'])
    if (plan.isLinear) l.linear(`${name}.${project}`, channels, channels);
    else l.conv(`${name}.${project}`, channels, channels, 1);
  for (let index = 0; index < depth; index++) {
    const block = `${name}.transformer_blocks.${index}`;
    for (const [attention, width] of [
      ['attn1', channels],
      ['attn2', plan.context],
    ] as const) {
      l.linear(`${block}.${attention}.to_q`, channels, channels, false);
      l.linear(`${block}.${attention}.to_k`, channels, width, false);
      l.linear(`${block}.${attention}.to_v`, channels, width, false);
      l.linear(`${block}.${attention}.to_out.0`, channels, channels);
    }
    l.linear(`${block}.ff.net.0.proj`, 8 * channels, channels);
    l.linear(`${block}.ff.net.2`, channels, 4 * channels);
    for (const norm of ['norm1', 'norm2', 'norm3']) l.norm(`${block}.${norm}`, channels);
  }
}

function unet(l: Layout, plan: UNetPlan): void {
  const { channels, down, up, middle, added } = plan;
  const first = channels[0] as number;
  const time = 4 * first;
  l.linear('time_embed.0', time, first);
  l.linear('time_embed.2', time, time);
  if (added !== undefined) {
    l.linear('label_emb.0.0', time, added);
    l.linear('label_emb.0.2', time, time);
  }
  l.conv('input_blocks.0.0', first, 4);
  const skips = [first];
  let [width, index] = [first, 1];
  for (const [level, depths] of down.entries()) {
    for (const depth of depths) {
      unetResnet(l, `input_blocks.${index}.0`, [width, channels[level] as number, time]);
      width = channels[level] as number;
      if (depth > 0) transformer(l, `input_blocks.${index}.1`, { channels: width, depth, plan });
      skips.push(width);
      index++;
    }
    if (level === down.length - 1) continue;
    l.conv(`input_blocks.${index++}.0.op`, width, width);
    skips.push(width);
  }
  if (middle !== undefined) unetResnet(l, 'middle_block.0', [width, width, time]);
  if (typeof middle === 'number') {
    transformer(l, 'middle_block.1', { channels: width, depth: middle, plan });
    unetResnet(l, 'middle_block.2', [width, width, time]);
  }
  index = 0;
  for (const [level, depths] of up.entries())
    for (const [layer, depth] of depths.entries()) {
      const out = channels.at(-1 - level) as number;
      unetResnet(l, `output_blocks.${index}.0`, [width + (skips.pop() as number), out, time]);
      width = out;
      if (depth > 0) transformer(l, `output_blocks.${index}.1`, { channels: width, depth, plan });
      if (layer === depths.length - 1 && level < up.length - 1)
        l.conv(`output_blocks.${index}.${depth > 0 ? 2 : 1}.conv`, width, width);
      index++;
    }
  l.norm('out.0', width);
  l.conv('out.2', 4, width);
}

function vaeResnet(l: Layout, name: string, into: number, out: number): void {
  l.norm(`${name}.norm1`, into);
  l.conv(`${name}.conv1`, out, into);
  l.norm(`${name}.norm2`, out);
  l.conv(`${name}.conv2`, out, out);
  if (into !== out) l.conv(`${name}.nin_shortcut`, out, into, 1);
}

/** Of Stable Diffusion 1.x, 2.x and XL alike. The decoder alone: the encoder is not read. */
function vaeDecoder(l: Layout): void {
  l.conv('post_quant_conv', 4, 4, 1);
  l.conv('decoder.conv_in', 512, 4);
  vaeResnet(l, 'decoder.mid.block_1', 512, 512);
  vaeResnet(l, 'decoder.mid.block_2', 512, 512);
  l.norm('decoder.mid.attn_1.norm', 512);
  for (const part of ['q', 'k', 'v', 'proj_out']) l.conv(`decoder.mid.attn_1.${part}`, 512, 512, 1);
  let width = 512;
  for (const [level, out] of [128, 256, 512, 512].entries().toArray().toReversed()) {
    for (let layer = 0; layer < 3; layer++) {
      vaeResnet(l, `decoder.up.${level}.block.${layer}`, width, out);
      width = out;
    }
    if (level > 0) l.conv(`decoder.up.${level}.upsample.conv`, width, width);
  }
  l.norm('decoder.norm_out', width);
  l.conv('decoder.conv_out', 3, width);
}

function clip(l: Layout, { width, layers }: TextPlan): void {
  l.add('embeddings.token_embedding.weight', 49408, width);
  l.add('embeddings.position_embedding.weight', 77, width);
  for (let index = 0; index < layers; index++) {
    const layer = `encoder.layers.${index}`;
    for (const name of ['q_proj', 'k_proj', 'v_proj', 'out_proj']) l.linear(`${layer}.self_attn.${name}`, width, width);
    for (const name of ['layer_norm1', 'layer_norm2']) l.norm(`${layer}.${name}`, width);
    l.linear(`${layer}.mlp.fc1`, 4 * width, width);
    l.linear(`${layer}.mlp.fc2`, width, 4 * width);
  }
  l.norm('final_layer_norm', width);
}

function openClip(l: Layout, { width, layers }: TextPlan): void {
  l.add('positional_embedding', 77, width);
  l.add('text_projection', width, width);
  l.add('token_embedding.weight', 49408, width);
  for (let index = 0; index < layers; index++) {
    const block = `transformer.resblocks.${index}`;
    l.add(`${block}.attn.in_proj_weight`, 3 * width, width);
    l.add(`${block}.attn.in_proj_bias`, 3 * width);
    l.linear(`${block}.attn.out_proj`, width, width);
    for (const name of ['ln_1', 'ln_2']) l.norm(`${block}.${name}`, width);
    l.linear(`${block}.mlp.c_fc`, 4 * width, width);
    l.linear(`${block}.mlp.c_proj`, width, 4 * width);
  }
  l.norm('ln_final', width);
}

/** A file whose weights are a hole: it says its full size and takes a few kilobytes of the disk. */
export function sparseFile(t: TestContext, plan: UNetPlan, texts: readonly TextPlan[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'text2img-full-size-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'full.safetensors');
  writeHeader(path, { unet: plan, texts });
  return path;
}

export interface FullSizeTensor {
  readonly name: string;
  readonly shape: readonly number[];
  /** Of its float16 values in the file. */
  readonly offsetBytes: number;
}

/** Writes a file with all names and shapes, and zeros that take no room on the disk. @returns where the weights belong */
export function writeHeader(
  path: string,
  { unet: plan, texts }: { readonly unet: UNetPlan; readonly texts: readonly TextPlan[] },
): FullSizeTensor[] {
  const layout = new Layout();
  layout.below('model.diffusion_model.', () => unet(layout, plan));
  layout.below('first_stage_model.', () => vaeDecoder(layout));
  for (const text of texts) layout.below(text.prefix, () => (text.isOpenClip ? openClip : clip)(layout, text));
  let end = 0;
  const tensors = [...layout.shapes].map(([name, shape]) => {
    const from = end;
    end += 2 * shape.reduce((product, size) => product * size, 1);
    return { name, shape, from, to: end };
  });
  const header = tensors.map(({ name, shape, from, to }) => [name, { dtype: 'F16', shape, data_offsets: [from, to] }]);
  const json = Buffer.from(JSON.stringify(Object.fromEntries(header)));
  const start = Buffer.alloc(8);
  start.writeBigUInt64LE(BigInt(json.length));
  const file = openSync(path, 'w');
  writeSync(file, Buffer.concat([start, json]));
  const dataAt = start.length + json.length;
  ftruncateSync(file, dataAt + end);
  closeSync(file);
  return tensors.map(({ name, shape, from }) => ({ name, shape, offsetBytes: dataAt + from }));
}
