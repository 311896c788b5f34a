/**
 * The small distilled autoencoder (TAESD, TAESDXL): latents in, an image out; or an image in, latents out. One image at a time.
 * Source: diffusers models/autoencoders/autoencoder_tiny.py, vae.py (DecoderTiny, EncoderTiny) and unets/unet_2d_blocks.py (AutoencoderTinyBlock).
 */
import { type BuiltGraph, GraphBuilder, type Value } from '../onnx/graph.ts';
import { AUTOENCODER_TINY_RULES, type AutoencoderTinyConfig } from './autoencoder-tiny-config.ts';
import { activate, add, conv2d, divideBy, multiply, relu } from './layers/primitives.ts';
import { enlarge2d } from './layers/resnet-block-2d.ts';
import type { NetworkBuild, NetworkClass } from './network-class.ts';

type Activation = AutoencoderTinyConfig['act_fn'];

/** Latents beyond it are bent towards it. */
const LARGEST_LATENT = 3;

/**
 * Input: `latent_sample` [1, C, h, w], already divided by `scaling_factor`; output: `sample` [1, 3, H, W] in −1 … 1; float32.
 * @throws `missing_tensor`, `wrong_tensor_shape`
 */
function buildDecoder(build: NetworkBuild<AutoencoderTinyConfig>): BuiltGraph {
  const { config, sizes = {} } = build;
  const g = beginGraph(build);
  const { latent_channels: channels, act_fn: activation, num_decoder_blocks: stages } = config;
  const shape = [1, channels, sizes.height ?? 64, sizes.width ?? 64];
  const latents = g.input('latent_sample', 'float32', [1, channels, 'height', 'width'], shape);
  const layers = new Layers(g, 'decoder.layers', activation);
  const features = config.decoder_block_out_channels[0] ?? 0;
  let hidden = layers.conv(bounded(g, g.cast(latents, g.graphType)), { outChannels: features });
  hidden = layers.activate(hidden);
  for (const [stage, blocks] of stages.entries()) {
    for (let block = 0; block < blocks; block++) hidden = layers.block(hidden);
    if (stage === stages.length - 1) break;
    hidden = layers.conv(layers.enlarge(hidden), { outChannels: features, bias: false });
  }
  hidden = layers.conv(hidden, { outChannels: config.out_channels });
  const image = add(g, multiply(g, hidden, g.constant([2], [1])), g.constant([-1], [1]));
  g.output('sample', image, [1, config.out_channels, 'image_height', 'image_width']);
  return g.build('AutoencoderTinyDecoder');
}

/**
 * Input: `sample` [1, 3, H, W] in −1 … 1; output: `latent_sample` [1, C, h, w], to be multiplied by `scaling_factor`; float32. `sizes` are of the latents.
 * @throws `missing_tensor`, `wrong_tensor_shape`
 */
function buildEncoder(build: NetworkBuild<AutoencoderTinyConfig>): BuiltGraph {
  const { config, sizes = {} } = build;
  const g = beginGraph(build);
  const { in_channels: channels, act_fn: activation, num_encoder_blocks: stages } = config;
  const scale = 2 ** (stages.length - 1);
  const shape = [1, channels, (sizes.height ?? 64) * scale, (sizes.width ?? 64) * scale];
  const image = g.cast(g.input('sample', 'float32', [1, channels, 'image_height', 'image_width'], shape), g.graphType);
  const layers = new Layers(g, 'encoder.layers', activation);
  const features = config.encoder_block_out_channels[0] ?? 0;
  let hidden = divideBy(g, add(g, image, g.constant([1], [1])), 2);
  for (const [stage, blocks] of stages.entries()) {
    hidden = layers.conv(
      hidden,
      stage === 0 ? { outChannels: features } : { outChannels: features, stride: 2, bias: false },
    );
    for (let block = 0; block < blocks; block++) hidden = layers.block(hidden);
  }
  hidden = layers.conv(hidden, { outChannels: config.latent_channels });
  g.output('latent_sample', hidden, [1, config.latent_channels, 'height', 'width']);
  return g.build('AutoencoderTinyEncoder');
}

function beginGraph({ weights, computeType, form, fusedDomain }: NetworkBuild<AutoencoderTinyConfig>): GraphBuilder {
  return new GraphBuilder(weights, computeType, { form, fusedDomain });
}

/** 3 · tanh(x / 3) */
function bounded(g: GraphBuilder, x: Value): Value {
  const share = g.node('Tanh', [divideBy(g, x, LARGEST_LATENT)], { shape: x.shape });
  return multiply(g, share, g.constant([LARGEST_LATENT], [1]));
}

interface ConvSettings {
  readonly outChannels: number;
  readonly stride?: number;
  readonly bias?: boolean;
}

/** The layers are numbered one after the other, those without weights included. */
class Layers {
  readonly #g: GraphBuilder;
  readonly #prefix: string;
  readonly #activation: Activation;
  #count = 0;

  constructor(g: GraphBuilder, prefix: string, activation: Activation) {
    this.#g = g;
    this.#prefix = prefix;
    this.#activation = activation;
  }

  conv(x: Value, settings: ConvSettings): Value {
    return conv2d(this.#g, x, this.#next(), settings);
  }

  activate(x: Value): Value {
    this.#next();
    return activate(this.#g, x, this.#activation);
  }

  enlarge(x: Value): Value {
    this.#next();
    return enlarge2d(this.#g, x);
  }

  /** Three convolutions beside the value itself. */
  block(x: Value): Value {
    const prefix = this.#next();
    const outChannels = x.shape[1] ?? 0;
    let hidden = conv2d(this.#g, x, `${prefix}.conv.0`, { outChannels });
    for (const layer of [2, 4]) {
      hidden = activate(this.#g, hidden, this.#activation);
      hidden = conv2d(this.#g, hidden, `${prefix}.conv.${layer}`, { outChannels });
    }
    return relu(this.#g, add(this.#g, hidden, x));
  }

  #next(): string {
    return `${this.#prefix}.${this.#count++}`;
  }
}

export const AUTOENCODER_TINY: NetworkClass<AutoencoderTinyConfig> = {
  className: 'AutoencoderTiny',
  rules: AUTOENCODER_TINY_RULES,
  weightsBaseName: 'diffusion_pytorch_model',
  /** TAESD's own decoder file has no prefix, and its first layer is the bound on latents, which has no weights. */
  tensorName: (stored) => stored.replace(/^(\d+)\./, (_, layer: string) => `decoder.layers.${Number(layer) - 1}.`),
  computeType: (_, wanted) => wanted,
  build: buildDecoder,
  moreGraphs: { encoder: { build: buildEncoder } },
};
