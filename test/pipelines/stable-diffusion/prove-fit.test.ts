/** The parts of a checkpoint are compared with each other, and its weights with its configurations, before anything is loaded. */
import assert from 'node:assert/strict';
import { readFileSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openKnown } from '../../checkpoint/open-known.ts';
import { Text2ImgError, type SerializedError } from '../../../src/errors/text2img-error.ts';
import { proveFit } from '../../../src/pipelines/prove-fit.ts';
import {
  copyOfBase,
  editTensors,
  readTensors,
  setKeys,
  TEXT,
  UNET,
  VAE,
  zeros,
} from '../../checkpoint/checkpoint-copies.ts';

/** Gives the tensors other shapes and zeros for values. */
function reshape(path: string, shapeOf: (shape: readonly number[], name: string) => readonly number[]): void {
  editTensors(path, (tensors) => {
    for (const [name, tensor] of tensors) tensors.set(name, zeros(shapeOf(tensor.shape, name)));
  });
}

const cases: readonly {
  readonly title: string;
  readonly code: SerializedError['code'];
  readonly says: readonly RegExp[];
  readonly spoil: (folder: string) => void;
}[] = [
  {
    title: 'a text encoder of 24 features for a UNet that expects 16',
    code: 'invalid_config',
    says: [/unet\/config\.json: "cross_attention_dim" is 16/, /"hidden_size" is 24/],
    spoil: (folder) => {
      setKeys(join(folder, 'text_encoder/config.json'), { hidden_size: 24 });
      reshape(join(folder, TEXT), (shape) => shape.map((size) => (size === 16 ? 24 : size)));
    },
  },
  {
    title: 'one block of the UNet that expects other features than the text encoder gives',
    code: 'invalid_config',
    says: [/"cross_attention_dim" is 20/, /"hidden_size" is 16/],
    spoil: (folder) => setKeys(join(folder, 'unet/config.json'), { cross_attention_dim: [16, 20, 16] }),
  },
  ...(
    [
      [5, /5 channels are for depth-to-image/],
      [7, /7 channels are for upscaling/],
      [8, /8 channels are for editing an image/],
      [9, /9 channels are for inpainting/],
      [6, /must be equal\.$/],
    ] as const
  ).map(([channels, task]) => ({
    title: `a UNet of ${channels} channels, which takes an image beside the latents,`,
    code: 'unsupported_config' as const,
    says: [new RegExp(`"in_channels" is ${channels}`), /"latent_channels" is 4/, task],
    spoil: (folder: string) => {
      setKeys(join(folder, 'unet/config.json'), { in_channels: channels });
      editTensors(join(folder, UNET), (tensors) => tensors.set('conv_in.weight', zeros([16, channels, 3, 3])));
    },
  })),
  {
    title: 'a UNet of XL, which takes sizes and a pooled prompt,',
    code: 'unsupported_config',
    says: [/unet\/config\.json: "addition_embed_type" is "text_time", which models of this family do not have/],
    spoil: (folder) =>
      setKeys(join(folder, 'unet/config.json'), {
        addition_embed_type: 'text_time',
        addition_time_embed_dim: 8,
        projection_class_embeddings_input_dim: 80,
      }),
  },
  {
    title: 'a UNet that predicts a variance as well',
    code: 'unsupported_config',
    says: [/"out_channels" is 8/, /"in_channels" is 4/],
    spoil: (folder) => setKeys(join(folder, 'unet/config.json'), { out_channels: 8 }),
  },
  {
    title: 'an autoencoder of 16 latent channels',
    code: 'unsupported_config',
    says: [/"in_channels" is 4/, /"latent_channels" is 16/],
    spoil: (folder) => setKeys(join(folder, 'vae/config.json'), { latent_channels: 16 }),
  },
  {
    title: 'an autoencoder that gives a fourth channel',
    code: 'unsupported_config',
    says: [/vae\/config\.json: "out_channels" is 4; allowed is 3/],
    spoil: (folder) => setKeys(join(folder, 'vae/config.json'), { out_channels: 4 }),
  },
  {
    title: 'a text encoder that knows fewer tokens than the tokenizer',
    code: 'invalid_config',
    says: [/"vocab_size" is 49000/, /id 49407/],
    spoil: (folder) => setKeys(join(folder, 'text_encoder/config.json'), { vocab_size: 49000 }),
  },
  {
    title: 'a tensor that is missing in the autoencoder',
    code: 'missing_tensor',
    says: [/vae: .*"decoder\.conv_norm_out\.bias"/],
    spoil: (folder) => editTensors(join(folder, VAE), (tensors) => tensors.delete('decoder.conv_norm_out.bias')),
  },
  {
    title: 'a tensor whose shape has a hundred dimensions more',
    code: 'wrong_tensor_shape',
    says: [/"conv_out\.weight" has shape \[1,1,.*asks for \[4,16,3,3\]/],
    spoil: (folder) =>
      editTensors(join(folder, UNET), (tensors) =>
        tensors.set('conv_out.weight', zeros([...Array.from({ length: 300 }, () => 1), 4, 9])),
      ),
  },
  {
    title: 'whole numbers where a weight is needed',
    code: 'wrong_tensor_shape',
    says: [/"conv_in\.bias" has type I32; allowed are/],
    spoil: (folder) =>
      editTensors(join(folder, UNET), (tensors) => tensors.set('conv_in.bias', { ...zeros([16]), dtype: 'I32' })),
  },
];

for (const { title, code, says, spoil } of cases) {
  test(`${title} is refused with ${code}`, async (t) => {
    const folder = copyOfBase(t);
    spoil(folder);
    const checkpoint = await openKnown(folder);
    assert.throws(
      () => proveFit(checkpoint),
      (error) => {
        assert.ok(error instanceof Text2ImgError, String(error));
        assert.equal(error.code, code, error.message);
        for (const pattern of says) assert.match(error.message, pattern);
        assert.ok(error.message.length <= 600);
        return true;
      },
    );
  });
}

test('a checkpoint that fits gives the graphs of its three networks', async (t) => {
  const graphs = proveFit(await openKnown(copyOfBase(t)));
  assert.deepEqual(Object.keys(graphs), ['text_encoder', 'unet', 'vae']);
  for (const graph of Object.values(graphs)) assert.ok(graph.model.length > 1000 && graph.weightBytes > 0);
});

test('only the headers of the weights are read: their large tensors may be anything', async (t) => {
  const folder = copyOfBase(t);
  const before = readTensors(join(folder, UNET));
  editTensors(join(folder, UNET), (tensors) => {
    for (const [name, tensor] of tensors) tensors.set(name, { ...tensor, data: Buffer.alloc(tensor.data.length, 255) });
  });
  proveFit(await openKnown(folder));
  assert.ok(before.size > 100);
  truncateSync(join(folder, UNET), readFileSync(join(folder, UNET)).length - 1);
  await assert.rejects(openKnown(folder), { code: 'invalid_safetensors' });
});
