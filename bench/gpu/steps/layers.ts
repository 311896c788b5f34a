/** (d) Single layers of SD 1.5 in both forms of the graph: whether the GPU has them at all, their time, and how far the forms are apart. */
import { messageOf } from '../../../src/lib/disk-errors.ts';
import { multiHeadAttention } from '../../../src/networks/layers/attention.ts';
import { causalMask } from '../../../src/networks/layers/causal-mask.ts';
import { activatedGroupNorm } from '../../../src/networks/layers/norms.ts';
import { concat, conv2d, groupNorm } from '../../../src/networks/layers/primitives.ts';
import { downsample2d, resnetBlock2d, upsample2d } from '../../../src/networks/layers/resnet-block-2d.ts';
import { transformer2d } from '../../../src/networks/layers/transformer-2d.ts';
import { type BuiltGraph, GraphBuilder, type Value } from '../../../src/onnx/graph.ts';
import type { GraphStyle } from '../../../src/onnx/graph-form.ts';
import type { Weights } from '../../../src/onnx/weights.ts';
import { floatsOf } from '../../../src/runtime/tensors.ts';
import { differenceOf, timePasses } from '../measure.ts';
import { type Component, BINDING, HALF, openComponent, openOn, styleFor, wave } from '../open-graph.ts';
import type { Report, TaskOf } from '../step.ts';

/** One image with guidance. */
const BATCH = 2;
const TOKENS = 77;

interface Layer {
  readonly what: string;
  readonly component: Component;
  /** Input → shape. */
  readonly inputs: Readonly<Record<string, readonly number[]>>;
  readonly write: (g: GraphBuilder, inputs: Readonly<Record<string, Value>>) => Value;
}

/** A layer that fails does not hide those after it. @throws the names of those that failed */
export async function layersStep(task: TaskOf<'layers'>, report: Report): Promise<void> {
  const opened = { unet: await openComponent('sd15', 'unet', task), vae: await openComponent('sd15', 'vae', task) };
  const failed: string[] = [];
  for (const layer of [...unetLayers(opened.unet.json), ...autoencoderLayers(opened.vae.json)]) {
    let expected: Float32Array | undefined;
    for (const form of ['portable', 'fused'] as const)
      try {
        const graph = layerGraph(layer, styleFor(form, task.device), opened[layer.component].weights);
        const { values, seconds } = await runLayer(layer, graph, task.device);
        const difference = expected === undefined ? {} : differenceOf(values, expected);
        report({ what: `${layer.what}, ${form}`, seconds, ...difference });
        expected ??= values;
      } catch (error) {
        failed.push(`${layer.what}, ${form}`);
        report({ what: `${layer.what}, ${form}`, problem: messageOf(error) });
      }
  }
  if (failed.length > 0) throw new Error(`failed: ${failed.join('; ')}`);
}

async function runLayer(
  { inputs: shapes }: Layer,
  graph: BuiltGraph,
  device: string,
): Promise<{ readonly values: Float32Array; readonly seconds: number }> {
  const inputs = Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [name, wave(shape)]));
  await using network = await openOn(BINDING, graph, device);
  const values = floatsOf(await network.run(inputs), 'y');
  const { seconds } = await timePasses(() => network.run(inputs));
  return { values, seconds };
}

function layerGraph({ inputs: shapes, write }: Layer, style: GraphStyle, weights: Weights): BuiltGraph {
  const g = new GraphBuilder(weights, HALF, style);
  const inputs = Object.entries(shapes).map(([name, shape]) => {
    const dimensions = shape.map((size, axis) => (axis === 0 || axis > 1 ? `${name}/${axis}` : size));
    return [
      name,
      g.cast(g.input(name, 'float32', shape.length === 3 ? shape : dimensions, shape), g.graphType),
    ] as const;
  });
  const y = write(g, Object.fromEntries(inputs));
  g.output(
    'y',
    y,
    y.shape.map((_, axis) => `y/${axis}`),
  );
  return g.build('layer');
}

type Json = Readonly<Record<string, unknown>>;

const value = (inputs: Readonly<Record<string, Value>>, name: string): Value => inputs[name] as Value;

function unetLayers(json: Json): readonly Layer[] {
  const widths = json['block_out_channels'] as readonly number[];
  const kinds = (json['down_block_types'] as readonly string[] | undefined) ?? SD15_BLOCKS;
  const groups = Number(json['norm_num_groups'] ?? 32);
  const heads = Number(json['attention_head_dim']);
  const latents = Number(json['sample_size']);
  const [first = 0, second = 0] = widths;
  const map = (channels: number, level = 0): readonly number[] => {
    const size = latents / 2 ** level;
    return [BATCH, channels, size, size];
  };
  const norm = { groups, epsilon: 1e-5 };
  const layer = (what: string, inputs: Layer['inputs'], write: Layer['write']): Layer => ({
    what,
    component: 'unet',
    inputs,
    write,
  });
  const lastUp = widths.length - 1;
  return [
    layer('convolution of 4 channels', { x: map(4) }, (g, inputs) =>
      conv2d(g, value(inputs, 'x'), 'conv_in', { outChannels: first }),
    ),
    layer('convolution to 4 channels', { x: map(first) }, (g, inputs) =>
      conv2d(g, value(inputs, 'x'), 'conv_out', { outChannels: 4 }),
    ),
    layer('convolution that halves', { x: map(first) }, (g, inputs) =>
      downsample2d(g, value(inputs, 'x'), 'down_blocks.0.downsamplers.0', 1),
    ),
    layer('enlargement', { x: map(widths.at(-1) ?? 0, lastUp) }, (g, inputs) =>
      upsample2d(g, value(inputs, 'x'), 'up_blocks.0.upsamplers.0'),
    ),
    layer('norm', { x: map(first) }, (g, inputs) => groupNorm(g, value(inputs, 'x'), 'conv_norm_out', norm)),
    layer('norm with SiLU', { x: map(first) }, (g, inputs) =>
      activatedGroupNorm(g, value(inputs, 'x'), 'conv_norm_out', { ...norm, activation: 'silu' }),
    ),
    layer('residual block', { x: map(first), time: [BATCH, 4 * first] }, (g, inputs) =>
      resnetBlock2d(g, value(inputs, 'x'), 'down_blocks.0.resnets.0', {
        ...norm,
        outChannels: first,
        activatedTimeEmbedding: value(inputs, 'time'),
      }),
    ),
    layer(
      'residual block of joined maps',
      { x: map(second), like: map(first), time: [BATCH, 4 * first] },
      (g, inputs) =>
        resnetBlock2d(g, joined(g, inputs), `up_blocks.${lastUp}.resnets.0`, {
          ...norm,
          outChannels: first,
          activatedTimeEmbedding: value(inputs, 'time'),
        }),
    ),
    ...kinds.flatMap((kind, level) =>
      kind === 'CrossAttnDownBlock2D'
        ? [
            layer(
              `transformer of ${widths[level]}`,
              { x: map(widths[level] ?? 0, level), context: [BATCH, TOKENS, Number(json['cross_attention_dim'])] },
              (g, inputs) =>
                transformer2d(g, value(inputs, 'x'), `down_blocks.${level}.attentions.0`, {
                  heads,
                  groups,
                  layers: 1,
                  useLinearProjection: false,
                  onlyCrossAttention: false,
                  encoderHiddenStates: value(inputs, 'context'),
                }),
            ),
          ]
        : [],
    ),
    layer('attention to earlier tokens', { x: [BATCH, TOKENS, heads * HEAD_WIDTH] }, (g, inputs) => {
      const x = value(inputs, 'x');
      return multiHeadAttention(g, { query: x, key: x, value: x, heads, ...causalMask(g, TOKENS) });
    }),
  ];
}

const SD15_BLOCKS = ['CrossAttnDownBlock2D', 'CrossAttnDownBlock2D', 'CrossAttnDownBlock2D', 'DownBlock2D'];
/** Of CLIP's text models. */
const HEAD_WIDTH = 64;

/** As the skips of a UNet. */
function joined(g: GraphBuilder, inputs: Readonly<Record<string, Value>>): Value {
  return concat(g, [value(inputs, 'x'), value(inputs, 'like')], 1);
}

function autoencoderLayers(json: Json): readonly Layer[] {
  const widths = json['block_out_channels'] as readonly number[];
  const groups = Number(json['norm_num_groups'] ?? 32);
  const latents = Number(json['sample_size']) / 8;
  const [first = 0] = widths;
  const last = widths.at(-1) ?? 0;
  return [
    {
      what: 'convolution to 3 channels',
      component: 'vae',
      inputs: { x: [1, first, 8 * latents, 8 * latents] },
      write: (g, inputs) => conv2d(g, value(inputs, 'x'), 'decoder.conv_out', { outChannels: 3 }),
    },
    {
      what: 'residual block of the autoencoder',
      component: 'vae',
      inputs: { x: [1, last, latents, latents] },
      write: (g, inputs) =>
        resnetBlock2d(g, value(inputs, 'x'), 'decoder.mid_block.resnets.0', {
          groups,
          epsilon: 1e-6,
          outChannels: last,
        }),
    },
    {
      what: `attention with one head of ${last}`,
      component: 'vae',
      inputs: { x: [1, latents * latents, last] },
      write: (g, inputs) => {
        const x = value(inputs, 'x');
        return multiHeadAttention(g, { query: x, key: x, value: x, heads: 1 });
      },
    },
  ];
}
