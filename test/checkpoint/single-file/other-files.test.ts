/** Files that are given as a checkpoint and are something else are named as what they are. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, test, type TestContext } from 'node:test';
import { openCheckpoint } from '../../../src/checkpoint/open-checkpoint.ts';
import { ERROR_CODES, EXIT_CODE_OF_FAULT, type ErrorCode } from '../../../src/errors/error-codes.ts';
import { Text2ImgError } from '../../../src/errors/text2img-error.ts';
import { FAMILIES } from '../../../src/pipelines/registry.ts';
import { type StoredTensor, writeTensors, zeros } from '../checkpoint-copies.ts';

function folderOf(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'text2img-other-file-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

async function refusalOf(path: string): Promise<Text2ImgError> {
  const error = await openCheckpoint(path, { families: FAMILIES }).then(
    () => assert.fail(`${path} was opened`),
    (raw: unknown) => raw,
  );
  assert.ok(error instanceof Text2ImgError);
  assert.equal(EXIT_CODE_OF_FAULT[ERROR_CODES[error.code].fault], 4);
  assert.ok(error.message.startsWith(path), error.message);
  return error;
}

type Shapes = Readonly<Record<string, readonly number[]>>;

function fileWith(t: TestContext, shapes: Shapes, dtype = 'F32'): string {
  const path = join(folderOf(t), 'model.safetensors');
  const tensors = Object.entries(shapes).map(([name, shape]): [string, StoredTensor] => {
    const { data } = zeros(shape);
    return [name, { dtype, shape, data: dtype === 'F32' ? data : data.subarray(0, data.length / 4) }];
  });
  writeTensors(path, new Map(tensors));
  return path;
}

const convIn = (channels: number): Shapes => ({
  'model.diffusion_model.input_blocks.0.0.weight': [8, channels, 3, 3],
  'cond_stage_model.transformer.text_model.embeddings.token_embedding.weight': [8, 8],
});

/** Names as the savers of each kind write them. */
const OTHERS: readonly (readonly [what: string, shapes: Shapes, sentence: RegExp])[] = [
  ['an inpainting checkpoint', convIn(9), /is an inpainting checkpoint: its UNet takes 9 channels/],
  ['an InstructPix2Pix checkpoint', convIn(8), /is an InstructPix2Pix checkpoint: its UNet takes 8 channels/],
  ['an upscaler', convIn(7), /is an upscaler: its UNet takes 7 channels/],
  ['a depth-to-image checkpoint', convIn(5), /is a depth-to-image checkpoint: its UNet takes 5 channels/],
  [
    'Stable Video Diffusion',
    { ...convIn(8), 'model.diffusion_model.input_blocks.1.0.time_stack.in_layers.0.weight': [4] },
    /is a Stable Video Diffusion checkpoint, which makes videos/,
  ],
  [
    'unCLIP',
    { ...convIn(4), 'noise_augmentor.time_embed.weight': [4] },
    /is an unCLIP checkpoint, which makes variations of an image/,
  ],
  [
    'a UNet that ComfyUI saved alone',
    { 'diffusion_model.input_blocks.0.0.weight': [4, 4, 3, 3] },
    /is a UNet alone in the original layout/,
  ],
  [
    'the SDXL refiner',
    {
      'model.diffusion_model.input_blocks.0.0.weight': [8, 4, 3, 3],
      'conditioner.embedders.0.model.token_embedding.weight': [8, 1280],
    },
    /is the SDXL refiner/,
  ],
  [
    'Stable Diffusion 3',
    { 'model.diffusion_model.joint_blocks.0.x_block.mlp.fc1.weight': [4, 4] },
    /Stable Diffusion 3/,
  ],
  ['FLUX', { 'double_blocks.0.img_attn.norm.key_norm.scale': [4] }, /is a FLUX checkpoint/],
  [
    'FLUX.2',
    { 'double_blocks.0.img_attn.norm.key_norm.scale': [4], 'single_stream_modulation.lin.weight': [4, 4] },
    /is a FLUX\.2 checkpoint/,
  ],
  ['Z-Image', { 'model.diffusion_model.layers.0.adaLN_modulation.0.weight': [4, 4] }, /is a Z-Image checkpoint/],
  ['Qwen-Image', { 'txt_norm.weight': [4], 'transformer_blocks.0.attn.to_q.weight': [4, 4] }, /is a Qwen-Image/],
  ['Stable Cascade', { 'clip_txt_mapper.weight': [4, 4] }, /is a Stable Cascade/],
  [
    'a LoRA of kohya',
    { 'lora_unet_down_blocks_0_attentions_0_proj_in.lora_down.weight': [4, 4] },
    /is a LoRA: an addition to a checkpoint/,
  ],
  ['a LoRA of diffusers', { 'unet.down_blocks.0.attentions.0.to_q.lora_A.weight': [4, 4] }, /is a LoRA/],
  ['a LoHa', { 'lora_te_text_model_encoder_layers_0_mlp_fc1.hada_w1_a': [4, 4] }, /is a LoRA/],
  ['a LoRA of FLUX', { 'lora_unet_double_blocks_0_img_attn_proj.lora_up.weight': [4, 4] }, /is a LoRA/],
  ['an old ControlNet', { 'control_model.time_embed.0.weight': [4, 4] }, /is a ControlNet/],
  ['a ControlNet of diffusers', { 'controlnet_cond_embedding.conv_in.weight': [4, 3, 3, 3] }, /is a ControlNet/],
  ['an IP-Adapter', { 'image_proj.proj.weight': [4, 4], 'ip_adapter.1.to_k_ip.weight': [4, 4] }, /is an IP-Adapter/],
  [
    'an original VAE',
    { 'decoder.conv_in.weight': [4, 4, 3, 3], 'decoder.up.0.block.0.norm1.weight': [4] },
    /autoencoder \(VAE\) alone; name it with --vae/,
  ],
  [
    'a VAE of diffusers',
    { 'decoder.conv_in.weight': [4, 4, 3, 3], 'decoder.up_blocks.0.resnets.0.norm1.weight': [4] },
    /--vae/,
  ],
  ['a TAESD decoder', { '1.weight': [4, 4, 3, 3], '3.conv.0.weight': [4, 4, 3, 3] }, /--vae/],
  [
    'a UNet of diffusers',
    { 'conv_in.weight': [4, 4, 3, 3], 'down_blocks.0.resnets.0.norm1.weight': [4] },
    /is a UNet alone in the diffusers layout/,
  ],
  ['an original UNet alone', { 'input_blocks.0.0.weight': [4, 4, 3, 3] }, /is a UNet alone in the original layout/],
  [
    'a UNet without a text encoder',
    { 'model.diffusion_model.input_blocks.0.0.weight': [4, 4, 3, 3] },
    /is a UNet without a text encoder/,
  ],
  ['a text encoder', { 'text_model.embeddings.token_embedding.weight': [4, 4] }, /is a text encoder alone/],
  ['an embedding', { emb_params: [2, 768] }, /is an embedding \(textual inversion\)/],
  ['an embedding of SDXL', { clip_l: [2, 768], clip_g: [2, 1280] }, /is an embedding \(textual inversion\)/],
  ['nothing', {}, /no checkpoint that is known: it has no tensors; allowed are Stable Diffusion 1\.x/],
  ['something', { 'a.b.c': [1, 2, 3], 'd.e': [1, 2, 3] }, /its tensors begin with "a\.b\.c", "d\.e"; allowed are/],
  ['NF4', { 'x.weight': [4, 1], 'x.weight.absmax': [1] }, /is quantised \(NF4 or FP4 of bitsandbytes\)/],
  ['nunchaku', { 'x.qweight': [4, 1], 'x.wscales': [1] }, /is quantised \(nunchaku or AWQ\)/],
];

suite('a safetensors file that is no checkpoint is named as what it is', () => {
  for (const [what, shapes, sentence] of OTHERS)
    test(what, async (t) => {
      const error = await refusalOf(fileWith(t, shapes));
      assert.equal(error.code, 'unsupported_class' satisfies ErrorCode);
      assert.match(error.message, sentence);
    });

  test('weights of 8-bit whole numbers', async (t) => {
    const error = await refusalOf(fileWith(t, { 'model.diffusion_model.x.weight': [4, 4] }, 'I8'));
    assert.match(error.message, /is quantised \(I8\), which is not implemented; use the model's file in float16/);
  });
});

const HEADER = Buffer.from('{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}');
const length = Buffer.alloc(8);
length.writeBigUInt64LE(BigInt(HEADER.length));

/** File name, content, code and sentence. */
const CONTENTS: readonly (readonly [name: string, content: Buffer, code: ErrorCode, sentence: RegExp])[] = [
  [
    'm.ckpt',
    Buffer.from('PK\u0003\u0004rest'),
    'unsafe_weights',
    /is a pickle of PyTorch, which can run code when it is read.*torch\.load/,
  ],
  ['M.CKPT', Buffer.from([0x80, 0x02, 0x8a]), 'unsafe_weights', /is a pickle of PyTorch, which/],
  [
    'm.safetensors',
    Buffer.from('PK\u0003\u0004rest of it'),
    'unsafe_weights',
    /is a pickle of PyTorch under another name/,
  ],
  ['m.safetensors', Buffer.from([0x80, 0x04, 0x95, 0, 0, 0, 0, 0, 0, 0]), 'unsafe_weights', /under another name/],
  ['m.gguf', Buffer.from('GGUF\u0003\u0000\u0000\u0000'), 'unsupported_class', /is a GGUF file/],
  ['m.safetensors', Buffer.from('<!DOCTYPE html><html></html>'), 'invalid_safetensors', /is a web page \(HTML\)/],
  ['m.safetensors', Buffer.alloc(0), 'invalid_safetensors', /is empty/],
  [
    'm.safetensors',
    Buffer.concat([length, HEADER, Buffer.alloc(15)]),
    'invalid_safetensors',
    /ends at byte .* truncated/,
  ],
  [
    'model_index.json',
    Buffer.from('{}'),
    'model_not_found',
    /is a file of a checkpoint in the diffusers layout; name its folder/,
  ],
];

suite('a file of another format is named', () => {
  for (const [name, content, code, sentence] of CONTENTS)
    test(`${name} of ${content.length} bytes: ${sentence.source}`, async (t) => {
      const path = join(folderOf(t), name);
      writeFileSync(path, content);
      const error = await refusalOf(path);
      assert.equal(error.code, code);
      assert.match(error.message, sentence);
    });
});
