/**
 * The branches of a UNet that feature caching can keep: where the result of the deep blocks enters the way up. Branch 0 lies nearest to the image.
 * Source: the DeepCache package 0.1.1 (arXiv 2312.00858), extension/deepcache.py, DeepCacheSDHelper.set_params and is_skip_step.
 */
import type { GraphSizes } from './network-class.ts';
import { type UNet2DConditionConfig, unetBlocks } from './unet-2d-condition-config.ts';

/** The branch of a request that names none. The UNet's first graph gives its feature, so that it needs no second whole network. */
export const DEFAULT_BRANCH = 0;

/** The package counts three in each block, also where a block has another number of layers. */
const BRANCHES_PER_BLOCK = 3;

/** A layer of the way up, as the package counts: from the image. Everything before it in the way up, and all that leads there, is kept. */
export interface Branch {
  /** 0 is the last block of the way up and the first of the way down. */
  readonly block: number;
  /** 0 is the block's last layer on the way up. As many layers of the mirrored block down are needed for the skips. */
  readonly layer: number;
  /** The feature's channels. */
  readonly channels: number;
}

/** The largest number of a branch. */
export function largestBranch({ down_block_types: { length } }: UNet2DConditionConfig): number {
  return BRANCHES_PER_BLOCK * length - 1;
}

/**
 * Whether the shallow graph attends to the prompt. XL's blocks nearest to the image do not, and OpenVINO compiles no graph with an input that nothing
 * reads.
 */
export function shallowReadsPrompt(config: UNet2DConditionConfig, branch: number): boolean {
  const { block: last, layer } = branchAt(config, branch);
  return unetBlocks(config)
    .slice(0, last + 1)
    .some(({ layers, crossAttention, transformerLayers }, block) => {
      const isLast = block === last;
      const down = crossAttention.down && hasDepth(transformerLayers.down, 0, isLast ? layer : layers);
      return down || (crossAttention.up && hasDepth(transformerLayers.up, isLast ? layers - layer : 0, layers + 1));
    });
}

/** Whether one of a block's layers has a transformer of at least one layer. */
function hasDepth(depths: number | readonly number[], from: number, to: number): boolean {
  return typeof depths === 'number' ? depths > 0 && from < to : depths.slice(from, to).some((depth) => depth > 0);
}

/** Of the features that an image keeps between passes, in float32. @param sizes of the pass, in rows and latents */
export function featureBytes(
  config: UNet2DConditionConfig,
  branch: number,
  { batch = 1, height = 1, width = 1 }: GraphSizes,
): number {
  const { block, channels } = branchAt(config, branch);
  const [rows, columns] = [height, width].map((side) => featureSide(side, block));
  return 4 * batch * channels * (rows ?? 1) * (columns ?? 1);
}

/** Each block down halves a side and rounds up. */
export function featureSide(latents: number, block: number): number {
  return Math.ceil(latents / 2 ** block);
}

/** @param branch at most `largestBranch` */
export function branchAt(config: UNet2DConditionConfig, branch: number): Branch {
  const blocks = unetBlocks(config);
  const block = Math.floor(branch / BRANCHES_PER_BLOCK);
  // The block up has one layer more than the block down. A branch beyond a short block is its first layer, as in the package.
  const first = blocks[block]?.layers ?? 0;
  const layer = Math.min(branch % BRANCHES_PER_BLOCK, first);
  // A block's first layer reads the result of the block before it, or of the middle.
  const source = layer === first ? Math.min(block + 1, blocks.length - 1) : block;
  return { block, layer, channels: blocks[source]?.channels ?? 0 };
}
