/**
 * Proves that the components of a checkpoint fit together, by its configurations and the headers of its weight files: nothing is loaded. A checkpoint
 * that passes works. `models list`, `models show`, `doctor` and the engine all ask here. Each configuration alone is checked where it is read, by the
 * rules of its network class.
 */
import type { PerNetwork } from '../checkpoint/checkpoint.ts';
import type { CheckpointFamily } from '../checkpoint/component-spec.ts';
import type { OpenedCheckpoint } from '../checkpoint/open-checkpoint.ts';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { own } from '../lib/foreign-record.ts';
import { quote } from '../lib/foreign-text.ts';
import { omitUndefined } from '../lib/omit-undefined.ts';
import type { GraphChoice, GraphSizes } from '../networks/network-class.ts';
import { DEFAULT_BRANCH } from '../networks/unet-2d-branches.ts';
import type { BuiltGraph, ComputeType, GraphForm, WeightType } from '../onnx/graph.ts';
import type { Family, RunSizes } from './family.ts';

/** The family's own proofs, and the list of what is built. */
type ProvableFamily = CheckpointFamily & Pick<Family, 'prove'>;

export interface WantedGraph extends GraphChoice {
  /** The device's compute type; a network that overflows in it is built in float32. */
  readonly computeType: ComputeType;
  /** Of a denoising network's linear layers; absent: floating-point numbers. */
  readonly weightType?: WeightType;
  /** Absent: portable. */
  readonly form?: GraphForm;
  /** Only its figures depend on them: the graph runs at every size. */
  readonly sizes?: RunSizes;
}

/** The checkpoint's networks by name, ready to be opened by a runtime. */
export type NetworkGraphs<F extends ProvableFamily> = PerNetwork<F['components'], BuiltGraph>;

/**
 * @param wanted the device's compute type; a network that overflows in it is built in float32
 * @throws `invalid_config`, `unsupported_config`, `missing_tensor`, `wrong_tensor_shape`
 */
export function proveFit<F extends ProvableFamily>(
  checkpoint: OpenedCheckpoint<F>,
  wanted: ComputeType = 'float32',
  writing: Pick<WantedGraph, 'weightType' | 'form'> = {},
): NetworkGraphs<F> {
  // Both casts: the names follow from the family's list, which TypeScript does not see through a loop over it.
  const opened = checkpoint as unknown as OpenedCheckpoint<ProvableFamily>;
  opened.family.prove(opened);
  const graphs: Record<string, BuiltGraph> = {};
  for (const name of Object.keys(opened.networks))
    graphs[name] = buildGraph(opened, name, { computeType: wanted, ...writing });
  return graphs as NetworkGraphs<F>;
}

/**
 * One graph of a network, for a checkpoint that was proved.
 * @param component a network's name in the family's list
 * @throws `missing_tensor`, `wrong_tensor_shape`, `internal` for a network or a graph that is not there
 */
export function buildGraph(
  checkpoint: OpenedCheckpoint<ProvableFamily>,
  component: string,
  { graph, branch, computeType: wanted, weightType, form, sizes }: WantedGraph,
): BuiltGraph {
  const network = own(checkpoint.networks, component);
  const builder = graph === undefined ? network?.networkClass : own(network?.networkClass.moreGraphs ?? {}, graph);
  if (network === undefined || builder === undefined)
    throw new Text2ImgError(
      'internal',
      `the checkpoint has no network ${quote(component)}${graph === undefined ? '' : ` with a graph ${quote(graph)}`} to open.`,
    );
  const { networkClass, config, weights } = network;
  const computeType = networkClass.computeType(config, wanted);
  return builder.build({
    config,
    weights,
    computeType,
    sizes: { ...sizes, ...sizesOf(checkpoint, component) },
    ...omitUndefined({ branch, weightType, form }),
  });
}

/**
 * Which whole network a graph belongs to. A UNet's whole graphs of two branches hold the same weights, so only one of them need be in memory. The
 * first graph is that of the default branch.
 */
export function wholeNetwork({ branch = DEFAULT_BRANCH }: GraphChoice): string {
  return String(branch);
}

/** A text encoder reads prompts of the length that its tokenizer makes. */
function sizesOf({ family, tokenizers }: OpenedCheckpoint<ProvableFamily>, network: string): GraphSizes {
  for (const spec of family.components)
    if (spec.kind === 'tokenizer' && spec.encoder === network) {
      const tokens = tokenizers[spec.name]?.maxTokens;
      return omitUndefined({ tokens });
    }
  return {};
}
