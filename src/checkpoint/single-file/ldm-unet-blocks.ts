/**
 * The blocks of a UNet in the original layout (`input_blocks`, `middle_block`, `output_blocks`). Read off its tensors are the number of levels, their
 * channels, and the depth of each attention.
 * Source of the layout: the names in diffusers loaders/single_file_utils.py, convert_ldm_unet_checkpoint.
 */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import type { FileTensors } from './file-tensors.ts';

/** One ResNet of a block. */
interface LdmLayer {
  /** `input_blocks.4` */
  readonly module: string;
  readonly channels: number;
  /** Transformer blocks of the attention behind it; undefined: there is none. */
  readonly depth: number | undefined;
}

/** The layers between two changes of size. */
export interface LdmLevel {
  readonly layers: readonly LdmLayer[];
  /** The convolution at its end that halves or doubles the size: `input_blocks.3.0.op`. */
  readonly sampler: string | undefined;
}

export interface LdmBlocks {
  readonly down: readonly LdmLevel[];
  /** Depth of the middle's attention; `resnet`: a ResNet alone. Undefined: there is no middle. */
  readonly middle: number | 'resnet' | undefined;
  readonly up: readonly LdmLevel[];
}

/** @param prefix of the UNet's names, with its dot @throws `unsupported_config` for a structure that diffusers cannot describe */
export function readLdmBlocks(tensors: FileTensors, prefix: string): LdmBlocks {
  const reader = new BlockReader(tensors, prefix);
  const down = reader.levels('input_blocks', 1, downSampler);
  const up = reader.levels('output_blocks', 0, upSampler);
  return { down, middle: reader.middle(), up };
}

type FindSampler = (tensors: FileTensors, module: string) => string | undefined;

/** It stands alone in its block. */
function downSampler(tensors: FileTensors, module: string): string | undefined {
  return tensors.has(`${module}.0.op.weight`) ? '0.op' : undefined;
}

/** It follows a ResNet, or the attention behind it. */
function upSampler(tensors: FileTensors, module: string): string | undefined {
  return ['1.conv', '2.conv'].find((name) => tensors.has(`${module}.${name}.weight`));
}

class BlockReader {
  readonly #tensors: FileTensors;
  readonly #prefix: string;

  constructor(tensors: FileTensors, prefix: string) {
    this.#tensors = tensors;
    this.#prefix = prefix;
  }

  levels(half: string, first: number, findSampler: FindSampler): readonly LdmLevel[] {
    const count = this.#tensors.count(`${this.#prefix}${half}`);
    const levels: LdmLevel[] = [];
    let layers: LdmLayer[] = [];
    for (let index = first; index < count; index++) {
      const module = `${half}.${index}`;
      const layer = this.#layer(module);
      if (layer !== undefined) layers.push(layer);
      const sampler = findSampler(this.#tensors, this.#prefix + module);
      if (sampler === undefined && layer === undefined) throw this.#refuse(module, 'neither a ResNet nor a sampler');
      if (sampler === undefined) continue;
      levels.push({ layers, sampler: `${module}.${sampler}` });
      layers = [];
    }
    if (layers.length > 0) levels.push({ layers, sampler: undefined });
    if (levels.length > 0) return levels;
    throw this.#refuse(half, 'no blocks');
  }

  middle(): LdmBlocks['middle'] {
    const name = `${this.#prefix}middle_block`;
    if (!this.#tensors.hasModule(name)) return undefined;
    if (this.#tensors.count(name) === 1) return 'resnet';
    const depth = this.#tensors.count(`${name}.1.transformer_blocks`);
    if (depth > 0 && this.#tensors.hasModule(`${name}.2.in_layers`)) return depth;
    throw this.#refuse('middle_block', 'blocks that are no ResNet, attention, ResNet');
  }

  #layer(module: string): LdmLayer | undefined {
    const weight = this.#tensors.shape(`${this.#prefix}${module}.0.in_layers.2.weight`);
    const channels = weight?.[0];
    if (channels === undefined) return undefined;
    if (!this.#tensors.has(`${this.#prefix}${module}.1.norm.weight`)) return { module, channels, depth: undefined };
    const depth = this.#tensors.count(`${this.#prefix}${module}.1.transformer_blocks`);
    if (depth > 0) return { module, channels, depth };
    throw this.#refuse(`${module}.1`, 'an attention without transformer blocks');
  }

  #refuse(module: string, what: string): Text2ImgError {
    return new Text2ImgError(
      'unsupported_config',
      `${this.#tensors.path}: the UNet has ${what} at "${this.#prefix}${module}"; this structure is not implemented.`,
    );
  }
}
