/**
 * A family with what larger models need: a text encoder that gives tokens and a pooled vector, prompts in chunks, a denoiser that reads packed latents,
 * the pooled vector and the guidance as inputs, an autoencoder with an encoder for jobs that begin with an image, and a component that may be missing.
 *
 * The denoiser's velocity is `pooled + mean of the tokens + guidance − latents`. Each of n passes goes 1/n of it, a job with an image begins halfway.
 */
import { z } from 'zod';
import type { Checkpoint } from '../../../src/checkpoint/checkpoint.ts';
import type { ComponentSpec, TokenizerClass } from '../../../src/checkpoint/component-spec.ts';
import { Text2ImgError } from '../../../src/errors/text2img-error.ts';
import type { RawImage } from '../../../src/job/raw-image.ts';
import { conv2d } from '../../../src/networks/layers/primitives.ts';
import type { NetworkBuild, NetworkClass } from '../../../src/networks/network-class.ts';
import { type BuiltGraph, GraphBuilder } from '../../../src/onnx/graph.ts';
import type { PassPlan, Pipeline, PipelineJob, Prepared } from '../../../src/pipelines/contract.ts';
import type { Family, LoadTools } from '../../../src/pipelines/family.ts';
import { joined } from '../../../src/pipelines/parts/joined.ts';
import type { Network } from '../../../src/runtime/contract.ts';
import { float32, floatsOf, int32 } from '../../../src/runtime/tensors.ts';

/** Of the text encoder and of the latents. */
const FEATURES = 2;
const CHUNK = 4;
const SIDE_PX = 8;
const COLOURS = 3;

type Build = (build: NetworkBuild<unknown>) => BuiltGraph;

function networkClass(
  className: string,
  build: Build,
  moreGraphs: Readonly<Record<string, { build: Build }>> = {},
): NetworkClass {
  const rules = { implemented: z.object({}), implementedKeys: [], withoutEffect: {}, onlyDefault: {} };
  return {
    className,
    rules,
    weightsBaseName: 'model',
    tensorName: (stored) => stored,
    computeType: () => 'float32',
    build,
    moreGraphs,
  };
}

/** `input_ids` [B, T] → `hidden_states` [B, T, D], `pooled` [B, D], which is the first token's. */
const TEXT_ENCODER = networkClass('ConditionedTextEncoder', ({ weights, computeType, sizes }) => {
  const tokens = sizes?.tokens ?? CHUNK;
  const g = new GraphBuilder(weights, computeType);
  const ids = g.input('input_ids', 'int32', ['batch', tokens], [1, tokens]);
  const table = g.weight('table', [256, FEATURES]);
  const hidden = g.node('Gather', [table, ids], { attributes: { axis: 0 }, shape: [1, tokens, FEATURES] });
  const first = g.node('Slice', [hidden, g.integers([0]), g.integers([1]), g.integers([1])], {
    shape: [1, 1, FEATURES],
  });
  const pooled = g.node('Reshape', [first, g.integers([-1, FEATURES])], { shape: [1, FEATURES] });
  g.output('hidden_states', hidden, ['batch', tokens, FEATURES]);
  g.output('pooled', pooled, ['batch', FEATURES]);
  return g.build('ConditionedTextEncoder');
});

/** `latents` [B, N, D], `hidden_states` [B, T, D], `pooled` [B, D], `guidance` [B, 1, 1] → `velocity` [B, N, D]. */
const DENOISER = networkClass('ConditionedDenoiser', ({ weights, computeType }) => {
  const g = new GraphBuilder(weights, computeType);
  const latents = g.input('latents', 'float32', ['batch', 'places', FEATURES], [1, 1, FEATURES]);
  const hidden = g.input('hidden_states', 'float32', ['batch', 'tokens', FEATURES], [1, 1, FEATURES]);
  const pooled = g.input('pooled', 'float32', ['batch', FEATURES], [1, FEATURES]);
  const guidance = g.input('guidance', 'float32', ['batch', 1, 1], [1, 1, 1]);
  const shape = [1, 1, FEATURES];
  const mean = g.node('ReduceMean', [hidden, g.integers([1])], { shape });
  const wide = g.node('Reshape', [pooled, g.integers([-1, 1, FEATURES])], { shape });
  const target = g.node('Add', [g.node('Add', [mean, wide], { shape }), guidance], { shape });
  g.output('velocity', g.node('Sub', [target, latents], { shape }), ['batch', 'places', FEATURES]);
  return g.build('ConditionedDenoiser');
});

/** A 1×1 convolution each way, in different tensors of one file. */
function convolution(name: string, inChannels: number, outChannels: number): Build {
  return ({ weights, computeType }) => {
    const g = new GraphBuilder(weights, computeType);
    const x = g.input('x', 'float32', [1, inChannels, 'height', 'width'], [1, inChannels, 1, 1]);
    g.output('y', conv2d(g, x, name, { outChannels, kernel: 1 }), [1, outChannels, 'height', 'width']);
    return g.build(name);
  };
}

const AUTOENCODER = networkClass('ConditionedAutoencoder', convolution('decoder', FEATURES, COLOURS), {
  encoder: { build: convolution('encoder', COLOURS, FEATURES) },
});

const BYTES: TokenizerClass<{ readonly maxTokens: number }> = {
  classNames: ['ByteTokenizer'],
  fileSets: [],
  otherFiles: [],
  read: () => Promise.resolve({ maxTokens: CHUNK }),
};

const COMPONENTS = [
  { kind: 'network', name: 'text_encoder', classes: [TEXT_ENCODER] },
  { kind: 'tokenizer', name: 'tokenizer', classes: [BYTES], encoder: 'text_encoder' },
  { kind: 'network', name: 'text_encoder_2', classes: [TEXT_ENCODER], optional: true },
  { kind: 'tokenizer', name: 'tokenizer_2', classes: [BYTES], encoder: 'text_encoder_2', optional: true },
  { kind: 'network', name: 'transformer', classes: [DENOISER] },
  { kind: 'network', name: 'vae', classes: [AUTOENCODER] },
] as const satisfies readonly ComponentSpec[];

type ConditionedCheckpoint = Checkpoint<typeof COMPONENTS>;

interface Networks {
  readonly textEncoder: Network;
  readonly denoiser: Network;
  readonly decoder: Network;
  readonly encoder: () => Promise<Network>;
}

interface State {
  /** [T, D] */
  readonly hidden: Float32Array;
  /** [D] */
  readonly pooled: Float32Array;
  readonly guidance: number;
  readonly steps: number;
  /** [H · W, D]: packed, a place after the other */
  latents: Float32Array;
}

class ConditionedPipeline implements Pipeline<State> {
  readonly #networks: Networks;

  constructor(networks: Networks) {
    this.#networks = networks;
  }

  check({ request, images }: PipelineJob): PassPlan {
    if (images.length > 1) throw new Text2ImgError('invalid_parameter', 'one image is enough.');
    const steps = request.numInferenceSteps;
    return { passes: images.length === 0 ? steps : Math.ceil(steps / 2), steps };
  }

  async prepare({ request, images: [image] }: PipelineJob, signal: AbortSignal): Promise<Prepared<State>> {
    const bytes = Buffer.from(request.prompt);
    const chunks = Math.max(1, Math.ceil(bytes.length / CHUNK));
    const ids = new Int32Array(chunks * CHUNK);
    ids.set(bytes);
    const encoded = await this.#networks.textEncoder.run({ input_ids: int32(ids, [chunks, CHUNK]) }, { signal });
    const hidden = floatsOf(encoded, 'hidden_states');
    // Of the first chunk.
    const pooled = floatsOf(encoded, 'pooled').slice(0, FEATURES);
    const start = image === undefined ? new Float32Array(SIDE_PX ** 2 * FEATURES) : await this.#encode(image);
    const { guidanceScale: guidance, numInferenceSteps: steps } = request;
    const begin = (): State => ({ hidden, pooled, guidance, steps, latents: start.slice() });
    return { batchKey: String(chunks), warnings: [`${chunks} chunks`], begin };
  }

  async step(states: readonly State[], _pass: number, signal: AbortSignal): Promise<void> {
    const batch = states.length;
    const tensor = (parts: readonly Float32Array[], shape: readonly number[]) =>
      float32(joined(parts), [batch, ...shape]);
    const inputs = {
      latents: tensor(
        states.map(({ latents }) => latents),
        [SIDE_PX ** 2, FEATURES],
      ),
      hidden_states: tensor(
        states.map(({ hidden }) => hidden),
        [(states[0]?.hidden.length ?? 0) / FEATURES, FEATURES],
      ),
      pooled: tensor(
        states.map(({ pooled }) => pooled),
        [FEATURES],
      ),
      guidance: tensor(
        states.map(({ guidance }) => Float32Array.of(guidance)),
        [1, 1],
      ),
    };
    const velocity = floatsOf(await this.#networks.denoiser.run(inputs, { signal }), 'velocity');
    const size = velocity.length / batch;
    for (const [index, state] of states.entries()) {
      const own = velocity.subarray(index * size, (index + 1) * size);
      state.latents = state.latents.map((value, at) => value + (own[at] as number) / state.steps);
    }
  }

  async decode({ latents }: State, signal: AbortSignal): Promise<RawImage> {
    const places = SIDE_PX ** 2;
    const unpacked = latents.map((_, at) => latents[(at % places) * FEATURES + Math.floor(at / places)] as number);
    const x = float32(unpacked, [1, FEATURES, SIDE_PX, SIDE_PX]);
    const decoded = floatsOf(await this.#networks.decoder.run({ x }, { signal }), 'y');
    const pixels = Uint8Array.from(decoded, (_, at) =>
      Math.round(decoded[(at % COLOURS) * places + Math.floor(at / COLOURS)] as number),
    );
    return { widthPx: SIDE_PX, heightPx: SIDE_PX, channels: 3, pixels };
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  /** @returns [H · W, D] */
  async #encode({ pixels }: RawImage): Promise<Float32Array> {
    const places = SIDE_PX ** 2;
    const planes = Float32Array.from(
      pixels,
      (_, at) => pixels[(at % places) * COLOURS + Math.floor(at / places)] as number,
    );
    const encoder = await this.#networks.encoder();
    const y = floatsOf(await encoder.run({ x: float32(planes, [1, COLOURS, SIDE_PX, SIDE_PX]) }), 'y');
    return y.map((_, at) => y[(at % FEATURES) * places + Math.floor(at / FEATURES)] as number);
  }
}

export const CONDITIONED = {
  name: 'conditioned',
  classes: ['ConditionedPipeline'],
  components: COMPONENTS,
  fields: ['prompt', 'numInferenceSteps', 'guidanceScale', 'widthPx', 'heightPx', 'numImages'],
  hashedNetwork: 'transformer',
  prove: ({ networks }: ConditionedCheckpoint) => {
    if (networks.text_encoder_2 === undefined) return;
    throw new Text2ImgError(
      'unsupported_config',
      `${networks.text_encoder_2.configPath}: a second text encoder is too much.`,
    );
  },
  describe: () => ({}),
  facts: () => ({
    defaultWidthPx: SIDE_PX,
    defaultHeightPx: SIDE_PX,
    defaults: { guidanceScale: 3, numInferenceSteps: 4 },
  }),
  load: async (_: ConditionedCheckpoint, { open }: LoadTools) =>
    new ConditionedPipeline({
      textEncoder: await open('text_encoder', { use: 'once' }),
      denoiser: await open('transformer', { use: 'every-step' }),
      decoder: await open('vae', { use: 'once' }),
      encoder: () => open('vae', { use: 'once', graph: 'encoder' }),
    }),
} as const satisfies Family;
