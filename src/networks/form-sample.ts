/**
 * A small graph with every operator of the fused form, by which a runtime finds out whether a GPU can run that form. The layers are those of the
 * networks, at the smallest sizes that still fuse. The weights are random numbers inside the graph, the same in both forms.
 */
import { type BuiltGraph, type ComputeType, GraphBuilder, type Value } from '../onnx/graph.ts';
import type { GraphStyle } from '../onnx/graph-form.ts';
import type { TensorPlace, Weights } from '../onnx/weights.ts';
import { multiHeadAttention } from './layers/attention.ts';
import { causalMask } from './layers/causal-mask.ts';
import { activatedGroupNorm, rowPerImage } from './layers/norms.ts';
import { add, conv2d, silu } from './layers/primitives.ts';
import { downsample2d, resnetBlock2d, toTokens, upsample2d } from './layers/resnet-block-2d.ts';
import { transformer2d } from './layers/transformer-2d.ts';

/** Two images, as SkipGroupNorm treats a batch in its own way. */
const BATCH = 2;
const LATENT_SIDE = 16;
/** The latents of Stable Diffusion, and the colours of an image. */
const LATENT_CHANNELS = 4;
const IMAGE_CHANNELS = 3;
/** Of the autoencoder's last blocks. Every norm has a number of channels that real networks have. */
const FIRST_CHANNELS = 128;
/** Of Stable Diffusion's first blocks: the least for which BiasAdd and BiasSplitGelu have kernels. */
const CHANNELS = 320;
const TIME_FEATURES = 64;
const PROMPT_TOKENS = 77;
const PROMPT_FEATURES = 64;
/** Heads of 40 features as in Stable Diffusion 1.5, and of 64 as in 2.x and XL. */
const [HEADS, OTHER_HEADS] = [8, 5];
const NORM = { groups: 32, epsilon: 1e-5 };

const INPUTS = {
  latents: [BATCH, LATENT_CHANNELS, LATENT_SIDE, LATENT_SIDE],
  time: [1, TIME_FEATURES],
  prompt: [BATCH, PROMPT_TOKENS, PROMPT_FEATURES],
} as const satisfies Readonly<Record<string, readonly number[]>>;

interface SampleInput {
  readonly shape: readonly number[];
  /** Between −1 and 1. */
  readonly data: Float32Array;
}

export class FormSample {
  readonly #weights = new RandomWeights();
  readonly inputs: Readonly<Record<string, SampleInput>> = Object.fromEntries(
    Object.entries(INPUTS).map(([name, shape]) => [name, { shape, data: randomNumbers(name, elements(shape)) }]),
  );

  /** @returns a graph from `inputs` to `latents_out` [2, 4, 16, 16] and `image_out` [2, 3, 16, 16], all in float32 */
  graph(computeType: ComputeType, style: GraphStyle): BuiltGraph {
    const g = new GraphBuilder(this.#weights, computeType, style);
    const input = (name: keyof typeof INPUTS): Value =>
      g.cast(g.input(name, 'float32', INPUTS[name], INPUTS[name]), g.graphType);
    const normal = normalOf(g, { latents: input('latents'), time: input('time'), prompt: input('prompt') });
    for (const [name, outChannels] of [
      ['latents', LATENT_CHANNELS],
      ['image', IMAGE_CHANNELS],
    ] as const) {
      const result = conv2d(g, normal, `${name}_out`, { outChannels });
      g.output(`${name}_out`, result, result.shape);
    }
    return g.build('form-sample');
  }
}

/** A UNet's first and last layers. @returns [2, 320, 16, 16] */
function normalOf(g: GraphBuilder, { latents, time, prompt }: Readonly<Record<keyof typeof INPUTS, Value>>): Value {
  const first = conv2d(g, latents, 'conv_in', { outChannels: FIRST_CHANNELS }); // [2, 128, 16, 16]
  const small = downsample2d(g, first, 'down', 1); // [2, 128, 8, 8]
  const activatedTimeEmbedding = rowPerImage(g, silu(g, time), latents);
  const block = resnetBlock2d(g, small, 'resnet', { ...NORM, outChannels: CHANNELS, activatedTimeEmbedding });
  const attended = transformer2d(g, block, 'transformer', {
    groups: NORM.groups,
    heads: HEADS,
    layers: 1,
    useLinearProjection: false,
    onlyCrossAttention: false,
    encoderHiddenStates: prompt,
  }); // [2, 320, 8, 8]
  const enlarged = upsample2d(g, attendToEarlier(g, attended), 'up'); // [2, 320, 16, 16]
  return activatedGroupNorm(g, enlarged, 'norm_out', { ...NORM, activation: 'silu' });
}

/** Each position and those before it, as in a text encoder. @param x [2, 320, 8, 8] @returns the same shape */
function attendToEarlier(g: GraphBuilder, x: Value): Value {
  const { tokens, restore } = toTokens(g, x);
  const mask = causalMask(g, tokens.shape[1] ?? 1);
  const attended = multiHeadAttention(g, { query: tokens, key: tokens, value: tokens, heads: OTHER_HEADS, ...mask });
  return add(g, x, restore(attended));
}

/** In float16, as most checkpoints have them, and made once for all graphs. Scaled by a layer's inputs, so that the results stay near 1. */
class RandomWeights implements Weights {
  readonly component = 'form-sample';
  readonly #bytes = new Map<string, Uint8Array>();

  names(): Iterable<string> {
    return this.#bytes.keys();
  }

  has(): boolean {
    return true;
  }

  place(name: string, shape: readonly number[] = []): TensorPlace {
    const known = this.#bytes.get(name);
    const bytes = known ?? new Uint8Array(Float16Array.from(weightsOf(name, shape)).buffer);
    this.#bytes.set(name, bytes);
    return { dtype: 'F16', shape, file: '', offsetBytes: 0, lengthBytes: bytes.length };
  }

  smallTensor(name: string): Uint8Array | undefined {
    return this.#bytes.get(name);
  }
}

/** @param shape the portable form asks for some vectors as [C, 1, 1] */
function weightsOf(name: string, shape: readonly number[]): Float32Array {
  const [, ...inputs] = shape.filter((size) => size !== 1);
  const isVector = inputs.length === 0;
  const mean = isVector && name.endsWith('.weight') ? 1 : 0;
  const scale = isVector ? 0.3 : 1.5 / Math.sqrt(elements(inputs));
  const numbers = randomNumbers(name, elements(shape));
  for (let index = 0; index < numbers.length; index++) numbers[index] = mean + (numbers[index] as number) * scale;
  return numbers;
}

/** Between −1 and 1, the same for one name in every process. The constants are those of Numerical Recipes, "An Even Quicker Generator". */
function randomNumbers(name: string, length: number): Float32Array {
  let state = Array.from(name).reduce((sum, letter) => Math.imul(sum, 31) + (letter.codePointAt(0) ?? 0), 7);
  const numbers = new Float32Array(length);
  for (let index = 0; index < length; index++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    numbers[index] = state / 2 ** 31 - 1;
  }
  return numbers;
}

function elements(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}
