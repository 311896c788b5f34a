/**
 * Says what a safetensors file is, if it is not a checkpoint that can be used: by its tensors' names.
 * Source of the names: diffusers loaders/single_file_utils.py, CHECKPOINT_KEY_NAMES, and the savers that each entry names.
 */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { quote } from '../../lib/foreign-text.ts';
import type { FileTensors } from './file-tensors.ts';
import { LDM_UNET_PREFIX } from './ldm-unet.ts';

const CONV_IN = `${LDM_UNET_PREFIX}input_blocks.0.0.weight`;
const LATENT_CHANNELS = 4;

/** Channels that a UNet takes beside its latents. */
const NEEDS_IMAGE: Readonly<Record<number, string>> = {
  5: 'a depth-to-image checkpoint',
  7: 'an upscaler',
  8: 'an InstructPix2Pix checkpoint',
  9: 'an inpainting checkpoint',
};

/** @throws `unsupported_class` for a UNet that needs an image, and for quantised weights */
export function refuseTensors(tensors: FileTensors): void {
  const another = ANOTHER_TASK.find(({ is }) => is(tensors));
  if (another !== undefined) throw refuse(tensors, another.sentence);
  const channels = tensors.shape(CONV_IN)?.[1];
  if (channels !== undefined && channels !== LATENT_CHANNELS) {
    const what = NEEDS_IMAGE[channels] ?? 'a checkpoint of another kind';
    throw refuse(
      tensors,
      `${what}: its UNet takes ${channels} channels, and only text-to-image checkpoints with ${LATENT_CHANNELS} are implemented`,
    );
  }
  const quantised = quantisation(tensors);
  if (quantised === undefined) return;
  throw refuse(
    tensors,
    `quantised (${quantised}), which is not implemented; use the model's file in float16, bfloat16 or float8`,
  );
}

const QUANTISED: readonly (readonly [pattern: RegExp, name: string])[] = [
  [/\.(?:absmax|quant_map|nested_absmax)$|\.quant_state\./, 'NF4 or FP4 of bitsandbytes'],
  [/\.(?:qweight|wscales|wzeros|smooth_factor)$/, 'nunchaku or AWQ'],
  [/\.(?:SCB|weight_format)$/, 'int8 of bitsandbytes'],
];

function quantisation(tensors: FileTensors): string | undefined {
  for (const [name, { dtype, shape }] of tensors.places) {
    const found = QUANTISED.find(([pattern]) => pattern.test(name));
    if (found !== undefined) return found[1];
    if (/^(?:I8|U8|F4|F6_\w+)$/.test(dtype) && shape.length > 1 && name.endsWith('.weight')) return dtype;
  }
  return undefined;
}

interface OtherFile {
  readonly is: (tensors: FileTensors) => boolean;
  /** The rest of a sentence that begins with "… is". */
  readonly sentence: string;
}

const named =
  (pattern: RegExp) =>
  (tensors: FileTensors): boolean =>
    [...tensors.places.keys()].some((name) => pattern.test(name));
const below =
  (...modules: readonly string[]) =>
  (tensors: FileTensors): boolean =>
    modules.some((module) => tensors.hasModule(module) || tensors.hasModule(LDM_UNET_PREFIX + module));

/** They have all the tensors of a layout, and more. */
const ANOTHER_TASK: readonly OtherFile[] = [
  {
    is: (tensors) => tensors.hasModule(`${LDM_UNET_PREFIX}input_blocks.1.0.time_stack`),
    sentence: 'a Stable Video Diffusion checkpoint, which makes videos from an image and is not implemented',
  },
  {
    is: (tensors) => tensors.hasModule(`${LDM_UNET_PREFIX}time_embed.cond_proj`),
    sentence:
      'a latent consistency checkpoint with an embedding of the guidance, which neither text2img nor diffusers reads from one file; name its repository or folder',
  },
  {
    is: (tensors) => tensors.hasModule('noise_augmentor'),
    sentence: 'an unCLIP checkpoint, which makes variations of an image and is not implemented',
  },
];

const ANOTHER_FAMILY = 'checkpoint, which is a transformer and not implemented';
const WHOLE_FILE = 'use a file that has text encoder, UNet and autoencoder, or a folder in the diffusers layout';

/** The first that fits. */
const OTHER_FILES: readonly OtherFile[] = [
  {
    is: named(/(?:^|[._])(?:lora_(?:unet|te\d?|up|down|A|B|mid)|hada_w[12]_[ab]|lokr_w[12]|lora)(?:[._]|$)/),
    sentence: 'a LoRA: an addition to a checkpoint, and none itself. LoRAs are not implemented',
  },
  { is: below('joint_blocks'), sentence: `a Stable Diffusion 3 ${ANOTHER_FAMILY}` },
  { is: below('single_stream_modulation', 'early_stream_modulations'), sentence: `a FLUX.2 ${ANOTHER_FAMILY}` },
  { is: below('distilled_guidance_layer'), sentence: `a Chroma ${ANOTHER_FAMILY}` },
  { is: below('txt_in.individual_token_refiner'), sentence: `a HunyuanVideo ${ANOTHER_FAMILY}` },
  { is: below('double_blocks'), sentence: `a FLUX ${ANOTHER_FAMILY}` },
  { is: named(/(?:^|\.)layers\.\d+\.adaLN_modulation\./), sentence: `a Z-Image ${ANOTHER_FAMILY}` },
  { is: below('cap_embedder'), sentence: `a Lumina ${ANOTHER_FAMILY}` },
  { is: below('double_layers'), sentence: `an AuraFlow ${ANOTHER_FAMILY}` },
  { is: below('double_stream_blocks'), sentence: `a HiDream ${ANOTHER_FAMILY}` },
  { is: below('patchify_proj'), sentence: `an LTX video ${ANOTHER_FAMILY}` },
  { is: below('txt_norm', 'txt_in.text_norm'), sentence: `a Qwen-Image ${ANOTHER_FAMILY}` },
  {
    is: below('clip_txt_mapper', 'down_blocks.1.0.channelwise'),
    sentence: 'a Stable Cascade checkpoint, which is not implemented',
  },
  { is: named(/(?:^|\.)head\.modulation$/), sentence: `a Wan video ${ANOTHER_FAMILY}` },
  { is: isRefiner, sentence: 'the SDXL refiner, which needs an image to begin with and is not implemented' },
  {
    is: below(
      'control_model',
      'controlnet_cond_embedding',
      'input_hint_block',
      'controlnet_down_blocks',
      'control_add_embedding',
    ),
    sentence: 'a ControlNet, which is no checkpoint and not implemented',
  },
  { is: below('image_proj', 'ip_adapter'), sentence: 'an IP-Adapter, which is no checkpoint and not implemented' },
  {
    is: named(/(?:^|\.)motion_modules\./),
    sentence: 'a motion module of AnimateDiff, which is no checkpoint and not implemented',
  },
  { is: isUNetAlone, sentence: `a UNet alone in the diffusers layout; ${WHOLE_FILE}` },
  { is: (tensors) => tensors.has(CONV_IN), sentence: `a UNet without a text encoder; ${WHOLE_FILE}` },
  {
    is: (tensors) => ['', 'diffusion_model.'].some((prefix) => tensors.has(`${prefix}input_blocks.0.0.weight`)),
    sentence: `a UNet alone in the original layout; ${WHOLE_FILE}`,
  },
  { is: isAutoencoder, sentence: 'an autoencoder (VAE) alone; name it with --vae, beside a checkpoint' },
  {
    is: below('text_model', 'transformer.resblocks', 'encoder.block', 'cond_stage_model', 'conditioner'),
    sentence: `a text encoder alone; ${WHOLE_FILE}`,
  },
  { is: isEmbedding, sentence: 'an embedding (textual inversion), which is no checkpoint and not implemented' },
];

/** For docs/checkpoints.md: what a safetensors file may be, and is not used as. */
export const REFUSED_FILES: readonly string[] = [
  ...[...ANOTHER_TASK, ...OTHER_FILES].map(({ sentence }) => sentence),
  ...Object.entries(NEEDS_IMAGE).map(([channels, what]) => `${what}: its UNet takes ${channels} channels`),
  ...QUANTISED.map(([, name]) => `quantised (${name}), which is not implemented`),
];

function isRefiner(tensors: FileTensors): boolean {
  return tensors.hasModule('conditioner.embedders.0.model') && tensors.has(CONV_IN);
}

function isUNetAlone(tensors: FileTensors): boolean {
  return tensors.hasModule('down_blocks.0.resnets') && tensors.has('conv_in.weight');
}

/** Whole or the decoder alone, in either layout; TAESD numbers its layers. */
function isAutoencoder(tensors: FileTensors): boolean {
  const modules = ['decoder.up_blocks', 'decoder.up', 'decoder.layers', 'first_stage_model.decoder', 'taesd_decoder'];
  return (
    modules.some((module) => tensors.hasModule(module)) || (tensors.has('1.weight') && tensors.has('3.conv.0.weight'))
  );
}

/** Few rows of the width of a token, and nothing else. */
function isEmbedding(tensors: FileTensors): boolean {
  const places = [...tensors.places.values()];
  return places.length > 0 && places.length <= 4 && places.every(({ shape }) => shape.length <= 2);
}

/** The error for a file that no layout recognises: what it is instead, or what its first tensors are. */
export function refuseUnknown(tensors: FileTensors, known: readonly string[]): Text2ImgError {
  const other = OTHER_FILES.find(({ is }) => is(tensors));
  if (other !== undefined) return refuse(tensors, other.sentence);
  const names = [...tensors.places.keys()].slice(0, 3).map((name) => quote(name, 80));
  return new Text2ImgError(
    'unsupported_class',
    `${tensors.path} is no checkpoint that is known: ${names.length === 0 ? 'it has no tensors' : `its tensors begin with ${names.join(', ')}`}; allowed are ${known.join(', ')}.`,
  );
}

function refuse({ path }: FileTensors, sentence: string): Text2ImgError {
  return new Text2ImgError('unsupported_class', `${path} is ${sentence}.`);
}
