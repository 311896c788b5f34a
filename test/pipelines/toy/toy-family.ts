/**
 * A family that shares nothing with Stable Diffusion: pixels instead of latents, bytes instead of CLIP's tokens, one linear network, a velocity instead
 * of predicted noise, no scheduler, no guidance, no autoencoder. It shows what a family is: this file and one line where the engine is started.
 *
 * The network says which way a pixel has to go: `velocity = colour of the prompt − pixels`. Each of n passes goes 1/n of it.
 */
import type { Checkpoint, CheckpointNetwork } from '../../../src/checkpoint/checkpoint.ts';
import type { ComponentSpec, TokenizerClass } from '../../../src/checkpoint/component-spec.ts';
import { z } from 'zod';
import { Text2ImgError } from '../../../src/errors/text2img-error.ts';
import type { ResolvedGenerationRequest } from '../../../src/job/generation-request.ts';
import type { RawImage } from '../../../src/job/raw-image.ts';
import { numberFrom } from '../../../src/lib/config-rules.ts';
import type { NetworkBuild, NetworkClass } from '../../../src/networks/network-class.ts';
import { TorchCpuGenerator } from '../../../src/noise/torch-cpu-random.ts';
import { type BuiltGraph, GraphBuilder } from '../../../src/onnx/graph.ts';
import type { PassPlan, Pipeline, PipelineJob, Prepared } from '../../../src/pipelines/contract.ts';
import type { Family, LoadTools } from '../../../src/pipelines/family.ts';
import type { Network } from '../../../src/runtime/contract.ts';
import { float32, floatsOf } from '../../../src/runtime/tensors.ts';

const BYTES = 256;

interface PainterConfig {
  readonly side_px: number;
}

/** Inputs: `pixels` [B, 3, N], `prompt` [B, 256]; output: `velocity` [B, 3, N]. */
function buildPainter({ weights, computeType }: NetworkBuild<PainterConfig>): BuiltGraph {
  const g = new GraphBuilder(weights, computeType);
  const pixels = g.input('pixels', 'float32', ['batch', 3, 'pixels'], [1, 3, 1]);
  const prompt = g.input('prompt', 'float32', ['batch', BYTES], [1, BYTES]);
  const colour = g.node('MatMul', [prompt, g.weight('colours.weight', [BYTES, 3])], { shape: [1, 3] });
  const wide = g.node('Reshape', [colour, g.integers([-1, 3, 1])], { shape: [1, 3, 1] });
  g.output('velocity', g.node('Sub', [wide, pixels], { shape: [1, 3, 1] }), ['batch', 3, 'pixels']);
  return g.build('ToyPainter');
}

const painterSchema = z.object({ side_px: numberFrom(1, 64) });

const TOY_PAINTER: NetworkClass<PainterConfig> = {
  className: 'ToyPainter',
  rules: {
    implemented: painterSchema,
    implementedKeys: Object.keys(painterSchema.shape),
    withoutEffect: {},
    onlyDefault: {},
  },
  weightsBaseName: 'model',
  tensorName: (stored) => stored,
  computeType: () => 'float32',
  build: buildPainter,
};

interface ByteTokenizer {
  readonly maxTokens: number;
}

const BYTE_TOKENIZER: TokenizerClass<ByteTokenizer> = {
  classNames: ['ByteTokenizer'],
  fileSets: [],
  otherFiles: [],
  read: () => Promise.resolve({ maxTokens: 1000 }),
};

const COMPONENTS = [
  { kind: 'tokenizer', name: 'bytes', classes: [BYTE_TOKENIZER], encoder: 'painter' },
  { kind: 'network', name: 'painter', classes: [TOY_PAINTER] },
] as const satisfies readonly ComponentSpec[];

type ToyCheckpoint = Checkpoint<typeof COMPONENTS>;

/** [256]: how often each byte occurs in the prompt. */
function histogram(prompt: string): Float32Array {
  const bytes = new TextEncoder().encode(prompt);
  const counts = new Float32Array(BYTES);
  for (const byte of bytes) counts[byte] = (counts[byte] as number) + 1 / bytes.length;
  return counts;
}

interface ToyState {
  readonly request: ResolvedGenerationRequest;
  readonly prompt: Float32Array;
  /** [3, H · W], 0 … 255 */
  pixels: Float32Array;
}

class ToyPipeline implements Pipeline<ToyState> {
  readonly #painter: Network;
  readonly #maxBytes: number;

  constructor(painter: Network, maxBytes: number) {
    this.#painter = painter;
    this.#maxBytes = maxBytes;
  }

  check({ request }: PipelineJob): PassPlan {
    const bytes = Buffer.byteLength(request.prompt);
    if (bytes === 0 || bytes > this.#maxBytes)
      throw new Text2ImgError(
        'invalid_parameter',
        `the prompt has ${bytes} bytes; allowed are 1 to ${this.#maxBytes}.`,
      );
    return { passes: request.numInferenceSteps };
  }

  async prepare({ request }: PipelineJob): Promise<Prepared<ToyState>> {
    const prompt = histogram(request.prompt);
    const count = 3 * request.widthPx * request.heightPx;
    const begin = (imageIndex: number): ToyState => {
      const noise = new TorchCpuGenerator(request.seed + imageIndex).next(count);
      return { request, prompt, pixels: noise.map((value) => 128 + 32 * value) };
    };
    return { batchKey: '', warnings: [], begin };
  }

  async step(states: readonly ToyState[], _pass: number, signal: AbortSignal): Promise<void> {
    const [first] = states;
    const count = first?.pixels.length ?? 0;
    const inputs = {
      pixels: float32(Float32Array.from(states.flatMap(({ pixels }) => [...pixels])), [states.length, 3, count / 3]),
      prompt: float32(Float32Array.from(states.flatMap(({ prompt }) => [...prompt])), [states.length, BYTES]),
    };
    const velocity = floatsOf(await this.#painter.run(inputs, { signal }), 'velocity');
    for (const [index, state] of states.entries()) {
      const own = velocity.subarray(index * count, (index + 1) * count);
      const steps = state.request.numInferenceSteps;
      state.pixels = state.pixels.map((value, at) => value + (own[at] as number) / steps);
    }
  }

  preview(state: ToyState): Promise<RawImage> {
    return this.decode(state);
  }

  async decode({ request: { widthPx, heightPx }, pixels }: ToyState): Promise<RawImage> {
    const count = widthPx * heightPx;
    const rgb = Uint8Array.from({ length: 3 * count }, (_, at) => {
      const value = pixels[(at % 3) * count + Math.floor(at / 3)] as number;
      return Math.min(Math.max(Math.round(value), 0), 255);
    });
    return { widthPx, heightPx, channels: 3, pixels: rgb };
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

export const TOY = {
  name: 'toy',
  classes: ['ToyPipeline'],
  components: COMPONENTS,
  fields: ['prompt', 'seed', 'numInferenceSteps', 'widthPx', 'heightPx', 'numImages'],
  hashedNetwork: 'painter',
  prove: () => undefined,
  describe: ({ networks: { painter } }: ToyCheckpoint) => ({ sidePx: painter.config.side_px }),
  facts: ({ networks: { painter } }: ToyCheckpoint) => ({
    defaultWidthPx: sideOf(painter),
    defaultHeightPx: sideOf(painter),
    defaults: { numInferenceSteps: 6 },
  }),
  load: async ({ tokenizers: { bytes } }: ToyCheckpoint, { open }: LoadTools) =>
    new ToyPipeline(await open('painter', { use: 'every-step' }), bytes.maxTokens),
} as const satisfies Family;

function sideOf({ config }: CheckpointNetwork<PainterConfig>): number {
  return config.side_px;
}
