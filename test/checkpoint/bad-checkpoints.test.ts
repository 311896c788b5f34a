/** Checkpoints that cannot be: each is refused with a stable code and a sentence that names what is wrong. */
import assert from 'node:assert/strict';
import { readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';
import fc from 'fast-check';
import { openKnown } from './open-known.ts';
import { readSafetensorsHeader } from '../../src/checkpoint/safetensors.ts';
import type { ErrorCode } from '../../src/errors/error-codes.ts';
import { Text2ImgError } from '../../src/errors/text2img-error.ts';
import { copyOfBase } from './checkpoint-copies.ts';
import { UNET_2D_CONDITION_MODEL } from '../../src/networks/unet-2d-condition-model.ts';

const base = fileURLToPath(new URL('../golden/base', import.meta.url));

function edit(path: string, change: (json: Record<string, unknown>) => void): void {
  const json = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
  change(json);
  writeFileSync(path, JSON.stringify(json));
}

/** Rewrites the header of a safetensors file and keeps its tensors. */
function editHeader(path: string, change: (header: Record<string, Record<string, unknown>>) => void): void {
  const bytes = readFileSync(path);
  const end = 8 + Number(bytes.readBigUInt64LE());
  const header = JSON.parse(bytes.subarray(8, end).toString()) as Record<string, Record<string, unknown>>;
  change(header);
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  writeFileSync(path, Buffer.concat([length, json, bytes.subarray(end)]));
}

const UNET = 'unet/diffusion_pytorch_model.safetensors';
const FIRST = 'conv_in.weight';

const cases: readonly {
  readonly title: string;
  readonly code: ErrorCode;
  readonly says: RegExp;
  readonly spoil: (folder: string) => void;
}[] = [
  {
    title: 'no model_index.json',
    code: 'invalid_model_index',
    says: /model_index\.json/,
    spoil: (f) => rmSync(join(f, 'model_index.json')),
  },
  {
    title: 'an index that is not JSON',
    code: 'invalid_model_index',
    says: /not JSON/,
    spoil: (f) => writeFileSync(join(f, 'model_index.json'), '{'),
  },
  {
    title: 'a pipeline that is not implemented',
    code: 'unsupported_class',
    says: /"StableDiffusion3Pipeline", for Stable Diffusion 3, is not implemented; allowed: StableDiffusionPipeline/,
    spoil: (f) => edit(join(f, 'model_index.json'), (json) => (json['_class_name'] = 'StableDiffusion3Pipeline')),
  },
  {
    title: 'a network that is not implemented',
    code: 'unsupported_class',
    says: /unet.*"UNet3D".*UNet2DConditionModel/,
    spoil: (f) => edit(join(f, 'model_index.json'), (json) => (json['unet'] = ['diffusers', 'UNet3D'])),
  },
  {
    title: 'a scheduler that is not implemented',
    code: 'unsupported_class',
    says: /"NoSuchScheduler".*DDIMScheduler/,
    spoil: (f) => edit(join(f, 'model_index.json'), (json) => (json['scheduler'] = ['diffusers', 'NoSuchScheduler'])),
  },
  {
    title: 'an option of the UNet that is not implemented',
    code: 'unsupported_config',
    says: /"class_embed_type" is "timestep".*allowed: null/,
    spoil: (f) => edit(join(f, 'unet/config.json'), (json) => (json['class_embed_type'] = 'timestep')),
  },
  {
    title: 'a block type that is not implemented',
    code: 'unsupported_config',
    says: /"down_block_types"/,
    spoil: (f) => edit(join(f, 'unet/config.json'), (json) => (json['down_block_types'] = ['ResnetDownsampleBlock2D'])),
  },
  {
    title: 'a configuration value of the wrong type',
    code: 'invalid_config',
    says: /"in_channels" is "four"/,
    spoil: (f) => edit(join(f, 'unet/config.json'), (json) => (json['in_channels'] = 'four')),
  },
  {
    title: 'a component without its configuration',
    code: 'model_not_found',
    says: /vae\/config\.json/,
    spoil: (f) => rmSync(join(f, 'vae/config.json')),
  },
  {
    title: 'no weights',
    code: 'model_not_found',
    says: /diffusion_pytorch_model\.safetensors does not exist/,
    spoil: (f) => rmSync(join(f, UNET)),
  },
  {
    title: 'weights only as a pickle',
    code: 'unsafe_weights',
    says: /pickle.*diffusion_pytorch_model\.bin.*safetensors/,
    spoil: (f) => renameSync(join(f, UNET), join(f, 'unet/diffusion_pytorch_model.bin')),
  },
  {
    title: 'a truncated weight file',
    code: 'invalid_safetensors',
    says: /truncated/,
    spoil: (f) => truncateSync(join(f, UNET), 20_000),
  },
  {
    title: 'an empty weight file',
    code: 'invalid_safetensors',
    says: /0 bytes/,
    spoil: (f) => truncateSync(join(f, UNET), 0),
  },
  {
    title: 'a header that is longer than the file',
    code: 'invalid_safetensors',
    says: /truncated/,
    spoil: (f) => writeFileSync(join(f, UNET), Buffer.from([0, 0, 1, 0, 0, 0, 0, 0, 123])),
  },
  {
    title: 'a header of absurd length',
    code: 'invalid_safetensors',
    says: /over the limit/,
    spoil: (f) => writeFileSync(join(f, UNET), Buffer.alloc(64, 255)),
  },
  {
    title: 'a lying shape',
    code: 'invalid_safetensors',
    says: /conv_in\.weight.*needs 4 bytes/,
    spoil: (f) => editHeader(join(f, UNET), (h) => ((h[FIRST] as object as { shape: number[] }).shape = [1])),
  },
  {
    title: 'an unknown type',
    code: 'invalid_safetensors',
    says: /conv_in\.weight.*dtype/,
    spoil: (f) => editHeader(join(f, UNET), (h) => ((h[FIRST] as Record<string, unknown>)['dtype'] = 'F7')),
  },
  {
    title: 'tensors that overlap',
    code: 'invalid_safetensors',
    says: /overlaps|hole|end at byte/,
    spoil: (f) =>
      editHeader(join(f, UNET), (h) => {
        const [a, b] = Object.keys(h).filter((name) => name.endsWith('norm1.bias'));
        (h[a as string] as Record<string, unknown>)['data_offsets'] = (h[b as string] as Record<string, unknown>)[
          'data_offsets'
        ];
        (h[a as string] as Record<string, unknown>)['shape'] = (h[b as string] as Record<string, unknown>)['shape'];
      }),
  },
  {
    title: 'a tokenizer without files',
    code: 'invalid_tokenizer',
    says: /neither tokenizer\.json nor both/,
    spoil: (f) => rmSync(join(f, 'tokenizer/merges.txt')),
  },
];

for (const { title, code, says, spoil } of cases) {
  test(`${title} is refused with ${code}`, async (t) => {
    const folder = copyOfBase(t);
    spoil(folder);
    await assert.rejects(openKnown(folder), (error) => {
      assert.ok(error instanceof Text2ImgError, String(error));
      assert.equal(error.code, code, error.message);
      assert.match(error.message, says);
      return true;
    });
  });
}

test('a folder that does not exist and a file are told apart', async () => {
  await assert.rejects(openKnown('/nowhere/model'), /there is no folder "\/nowhere\/model"/);
  await assert.rejects(openKnown(join(base, 'model_index.json')), /is a file/);
});

test('a tensor that is missing or has another shape is named, with both shapes', async (t) => {
  const folder = copyOfBase(t);
  edit(join(folder, 'unet/config.json'), (json) => (json['cross_attention_dim'] = 99));
  const { unet } = (await openKnown(folder)).networks;
  assert.throws(() => UNET_2D_CONDITION_MODEL.build({ ...unet, computeType: 'float32' }), {
    code: 'wrong_tensor_shape',
    message: /attn2\.to_k\.weight" has shape \[.*asks for \[.*99\]/,
  });
  edit(join(folder, 'unet/config.json'), (json) => {
    json['cross_attention_dim'] = 16;
    json['layers_per_block'] = 7;
  });
  const deeper = await openKnown(folder);
  assert.throws(() => UNET_2D_CONDITION_MODEL.build({ ...deeper.networks.unet, computeType: 'float32' }), {
    code: 'missing_tensor',
    message: /resnets\.\d+\..*configuration asks for/,
  });
});

test('keys of other classes are warned of, keys without effect are not', async (t) => {
  const folder = copyOfBase(t);
  edit(join(folder, 'scheduler/scheduler_config.json'), (json) => (json['solver_order'] = 2));
  edit(join(folder, 'unet/config.json'), (json) => (json['dropout'] = 0.5));
  const { warnings } = await openKnown(folder);
  assert.ok(warnings.some((sentence) => sentence.includes('"solver_order"')));
  assert.ok(!warnings.some((sentence) => sentence.includes('dropout')));
  assert.ok(warnings.some((sentence) => sentence.includes('safety checker')));
});

test('a bare -Infinity, as Python writes it into scheduler files, is read', async (t) => {
  const folder = copyOfBase(t);
  edit(join(folder, 'model_index.json'), (json) => (json['scheduler'] = ['diffusers', 'DPMSolverMultistepScheduler']));
  const path = join(folder, 'scheduler/scheduler_config.json');
  writeFileSync(
    path,
    '{"_class_name": "DPMSolverMultistepScheduler", "lambda_min_clipped": -Infinity, "beta_schedule": "scaled_linear"}',
  );
  assert.equal((await openKnown(folder)).scheduler.className, 'DPMSolverMultistepScheduler');
});

test('whatever bytes a safetensors file has, it is read or refused, never anything else', async (t) => {
  const path = join(copyOfBase(t), 'fuzz.safetensors');
  const tensor = fc.record(
    {
      dtype: fc.constantFrom('F32', 'F16', 'X', 1),
      shape: fc.array(fc.integer()),
      data_offsets: fc.array(fc.integer({ min: -9, max: 99 }), { maxLength: 3 }),
    },
    { requiredKeys: [] },
  );
  const header = fc.oneof(fc.dictionary(fc.string(), tensor), fc.jsonValue());
  const file = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.tuple(header, fc.uint8Array({ maxLength: 64 })).map(([value, data]) => {
      const json = Buffer.from(JSON.stringify(value));
      const length = Buffer.alloc(8);
      length.writeBigUInt64LE(BigInt(json.length));
      return Buffer.concat([length, json, data]);
    }),
  );
  await fc.assert(
    fc.asyncProperty(file, async (bytes) => {
      writeFileSync(path, bytes);
      await readSafetensorsHeader(path).catch((error: unknown) =>
        assert.equal((error as Text2ImgError).code, 'invalid_safetensors', String(error)),
      );
    }),
    { numRuns: 300 },
  );
});

test('keys that _use_default_values lists have the default of their class, as in diffusers', async (t) => {
  const folder = copyOfBase(t);
  const path = join(folder, 'scheduler', 'scheduler_config.json');
  const read = async (): Promise<Record<string, unknown>> => {
    const { scheduler } = await openKnown(folder);
    return { ...scheduler.config };
  };
  edit(path, (json) => Object.assign(json, { beta_start: 0.002, beta_end: 0.03 }));
  const stated = await read();
  assert.deepEqual([stated['beta_start'], stated['beta_end']], [0.002, 0.03]);
  edit(path, (json) => (json['_use_default_values'] = ['beta_start', 7, null]));
  const { beta_start: byDefault, ...others } = await read();
  assert.notEqual(byDefault, 0.002);
  assert.equal(others['beta_end'], 0.03);
  edit(path, (json) => (json['_use_default_values'] = 'beta_start'));
  assert.equal((await read())['beta_start'], 0.002);
});
