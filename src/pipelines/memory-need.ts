/**
 * How much memory the networks of a checkpoint need: their weights, and the values that live at once while one of them runs. Estimates from graphs
 * alone, before anything was loaded or measured; `docs/decisions/memory.md` compares them with measurements.
 */
import type { OpenedCheckpoint } from '../checkpoint/open-checkpoint.ts';
import { PREVIEW_VAE } from '../checkpoint/open-vae.ts';
import type { GraphSizes } from '../networks/network-class.ts';
import type { Family } from './family.ts';
import { buildGraph, type WantedGraph } from './prove-fit.ts';

export interface MemoryNeed {
  readonly network: string;
  /** In the type that it computes in. */
  readonly weightBytes: number;
  /** At the sizes that were asked about, at most. */
  readonly activationBytes: number;
}

/**
 * A runtime takes more than lives at once, because it copies tensors into the order that its kernels like, and its heap has gaps. Measured with ONNX
 * Runtime 1.30: 1.05 times for UNets, 1.31 and 1.65 times for autoencoders.
 */
const TAKEN = 1.75;
/** Of a run of the smallest network. */
const BASE_BYTES = 16 * 2 ** 20;

/** An upper estimate. @param livingBytes `BuiltGraph.activationBytes` */
export function takenBytes(livingBytes: number): number {
  return Math.ceil(TAKEN * livingBytes) + BASE_BYTES;
}

/** The latents of a preview, for an image of any size. */
const PREVIEW_SIZES = { height: 32, width: 32 } as const;

type Arithmetic = Pick<WantedGraph, 'computeType' | 'weightType'>;

/** Of every network at the model's default size. */
export function needsAtDefaultSize(
  checkpoint: OpenedCheckpoint<Family>,
  arithmetic: Arithmetic,
): readonly MemoryNeed[] {
  const { family } = checkpoint;
  const { defaultWidthPx: widthPx, defaultHeightPx: heightPx } = family.facts(checkpoint);
  const sizes = family.sizes?.(checkpoint, { widthPx, heightPx }) ?? {};
  return Object.keys(checkpoint.networks).map((network) =>
    needAt(checkpoint, network, { sizes: network === PREVIEW_VAE ? PREVIEW_SIZES : sizes, ...arithmetic }),
  );
}

function needAt(
  checkpoint: OpenedCheckpoint<Family>,
  network: string,
  wanted: Arithmetic & { readonly sizes: GraphSizes },
): MemoryNeed {
  const { weightBytes, activationBytes } = buildGraph(checkpoint, network, wanted);
  return { network, weightBytes, activationBytes: takenBytes(activationBytes) };
}

/** All networks stay in memory, and each keeps what its runs took. */
export function togetherBytes(needs: readonly MemoryNeed[]): number {
  return needs.reduce((sum, { weightBytes, activationBytes }) => sum + weightBytes + activationBytes, 0);
}

/** One network at a time is in memory. */
export function inTurnsBytes(needs: readonly MemoryNeed[]): number {
  return Math.max(0, ...needs.map(({ weightBytes, activationBytes }) => weightBytes + activationBytes));
}

/** The network with the most weights. */
export function largestOf(needs: readonly MemoryNeed[]): MemoryNeed | undefined {
  return needs.toSorted((a, b) => b.weightBytes - a.weightBytes)[0];
}
