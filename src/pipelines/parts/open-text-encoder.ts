/** Opens a text encoder: it becomes the function that a family's conditioner calls. */
import type { CheckpointNetwork } from '../../checkpoint/checkpoint.ts';
import type { ClipTextConfig } from '../../networks/clip-text-config.ts';
import type { Network } from '../../runtime/contract.ts';
import { floatsOf, int32 } from '../../runtime/tensors.ts';
import type { LoadTools } from '../family.ts';
import { KeptEmbeddings } from './kept-embeddings.ts';
import type { TextEncoder } from './networks.ts';
import { FULL_PRECISION, type Precision } from './precision.ts';

interface EncoderOptions {
  /** Its name in the family's list. */
  readonly component: string;
  readonly network: CheckpointNetwork<ClipTextConfig>;
  /** Its tokenizer's. */
  readonly maxTokens: number;
}

interface OpenedTextEncoder {
  readonly textEncoder: TextEncoder;
  /** Where the device computes in less than float32: the same in float32. */
  readonly fullPrecision?: () => Promise<TextEncoder>;
  /** For as long as the encoder is open. */
  readonly kept: KeptEmbeddings;
}

type OpenTextEncoder = (options: EncoderOptions, tools: LoadTools) => Promise<OpenedTextEncoder>;

/** As Stable Diffusion 1.x and 2.x use it: a layer's result after the final LayerNorm. */
export const openTextEncoder: OpenTextEncoder = (options, tools) =>
  inBothPrecisions(tools, async (precision) => {
    const { component, network, maxTokens } = options;
    const layers = network.config.num_hidden_layers;
    const all = await tools.open(component, { use: 'once', ...precision });
    return {
      maxTokens,
      layers,
      encode: async (inputIds, skippedLayers, signal) => {
        const tokens = { input_ids: int32(inputIds, [1, maxTokens]) };
        if (skippedLayers === 0)
          return { hiddenStates: floatsOf(await all.run(tokens, { signal }), 'last_hidden_state') };
        // A graph of its own: the usual one computes faster, and its last bits stay as they are.
        const any = await tools.open(component, { use: 'once', graph: 'any_layer', ...precision });
        const outputs = await any.run(withLayer(tokens, layers - skippedLayers), { signal });
        return { hiddenStates: floatsOf(outputs, 'last_hidden_state') };
      },
    };
  });

/** As the XL family uses its first one: the layer before the last as it is. */
export const openInnerTextEncoder: OpenTextEncoder = (options, tools) =>
  inBothPrecisions(tools, async (precision) => {
    const network = await tools.open(options.component, { use: 'once', graph: 'any_layer', ...precision });
    return innerEncoder(options, network, () => ({}));
  });

/** As the XL family uses its second one: the layer before the last as it is, and a vector for the whole prompt. */
export const openPooledTextEncoder: OpenTextEncoder = (options, tools) =>
  inBothPrecisions(tools, async (precision) => {
    const network = await tools.open(options.component, { use: 'once', ...precision });
    return innerEncoder(options, network, (outputs) => ({ pooled: floatsOf(outputs, 'text_embeds') }));
  });

type Outputs = Awaited<ReturnType<Network['run']>>;

function innerEncoder(
  { network: { config }, maxTokens }: EncoderOptions,
  network: Network,
  more: (outputs: Outputs) => { readonly pooled?: Float32Array },
): TextEncoder {
  const layers = config.num_hidden_layers;
  return {
    maxTokens,
    layers,
    encode: async (inputIds, skippedLayers, signal) => {
      const inputs = withLayer({ input_ids: int32(inputIds, [1, maxTokens]) }, layers - 1 - skippedLayers);
      const outputs = await network.run(inputs, { signal });
      return { hiddenStates: floatsOf(outputs, 'hidden_state'), ...more(outputs) };
    },
  };
}

/** @param layer 0: the embeddings */
function withLayer(inputs: { readonly input_ids: ReturnType<typeof int32> }, layer: number) {
  return { ...inputs, layer: int32(Int32Array.of(layer), [1]) };
}

async function inBothPrecisions(
  { settings }: LoadTools,
  open: (precision: Precision) => Promise<TextEncoder>,
): Promise<OpenedTextEncoder> {
  const opened = { textEncoder: await open({}), kept: new KeptEmbeddings() };
  if (settings.computeType === 'float32') return opened;
  return { ...opened, fullPrecision: () => open(FULL_PRECISION) };
}
