/** Single files that are not quite as they should be: missing, misshapen, renamed and superfluous tensors, and scales of rows. */
import assert from 'node:assert/strict';
import { readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openCheckpoint, type OpenedCheckpoint } from '../../../src/checkpoint/open-checkpoint.ts';
import { Text2ImgError } from '../../../src/errors/text2img-error.ts';
import { FAMILIES } from '../../../src/pipelines/registry.ts';
import { proveFit } from '../../../src/pipelines/prove-fit.ts';
import { createScheduler } from '../../../src/schedulers/create-scheduler.ts';
import { setKeys, type StoredTensor, zeros } from '../checkpoint-copies.ts';
import { drawnBy } from './draw.ts';
import { madeFile, madeFolder } from './make-file.ts';

type Change = (tensors: Map<string, StoredTensor>) => void;

async function opened(
  t: TestContext,
  name: string,
  change: Change,
): Promise<OpenedCheckpoint<(typeof FAMILIES)[number]>> {
  const checkpoint = await openCheckpoint(madeFile(t, name, change), { families: FAMILIES });
  proveFit(checkpoint);
  return checkpoint;
}

async function refusal(t: TestContext, name: string, change: Change): Promise<Text2ImgError> {
  const error = await opened(t, name, change).then(
    () => assert.fail('it was opened'),
    (raw: unknown) => raw,
  );
  assert.ok(error instanceof Text2ImgError);
  return error;
}

const UNET = 'model.diffusion_model';
/** The page that `case.json` beside it names. */
const PUBLISHED = fileURLToPath(
  new URL('../../golden/known-noobai-v-pred/checkpoint/scheduler/scheduler_config.json', import.meta.url),
);

for (const [case_, stored] of [
  ['sd-1', `${UNET}.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight`],
  ['sd-1', `${UNET}.middle_block.2.out_layers.3.weight`],
  ['sd-1', 'first_stage_model.decoder.mid.attn_1.q.weight'],
  ['sd-1', 'cond_stage_model.transformer.text_model.encoder.layers.1.mlp.fc2.bias'],
  ['sd-2', 'cond_stage_model.model.transformer.resblocks.1.attn.in_proj_weight'],
  ['xl', 'conditioner.embedders.1.model.text_projection'],
] as const) {
  test(`${case_}: a missing ${stored} is named as the file would spell it`, async (t) => {
    const error = await refusal(t, case_, (tensors) => tensors.delete(stored));
    assert.equal(error.code, 'missing_tensor');
    assert.ok(error.message.includes(`"${stored}"`), error.message);
  });

  // The configuration follows from some shapes: what contradicts them is named then.
  if (/to_k|text_projection/.test(stored)) continue;
  test(`${case_}: a misshapen ${stored} is named as the file spells it`, async (t) => {
    const error = await refusal(t, case_, (tensors) => tensors.set(stored, zeros([3, 5])));
    assert.ok(error.message.includes(stored), error.message);
  });
}

test('merges may name the text encoder without text_model', async (t) => {
  const { networks } = await opened(t, 'sd-1', (tensors) => {
    for (const [name, tensor] of tensors)
      if (name.includes('.text_model.')) {
        tensors.delete(name);
        tensors.set(name.replace('.text_model.', '.'), tensor);
      }
  });
  assert.equal(
    networks.text_encoder.weights.place('final_layer_norm.weight').storedName,
    'cond_stage_model.transformer.final_layer_norm.weight',
  );
});

test('what a UNet has beyond its graph is a note; leftovers of training are a detail', async (t) => {
  const { warnings, details } = await opened(t, 'sd-1', (tensors) => {
    tensors.set(`${UNET}.time_embed.other.weight`, zeros([2, 2]));
    tensors.set(`${UNET}.input_blocks.0.0.lora_up.weight`, zeros([2, 2]));
    tensors.set('model_ema.decay', zeros([]));
  });
  assert.match(
    warnings.join('\n'),
    /UNet of the file has 1 tensor that no implemented UNet reads: "model\.diffusion_model\.time_embed\.other\.weight"\./,
  );
  assert.equal(details.length, 1);
  assert.match(details[0] ?? '', /has [23] tensors that are not needed: .*"model_ema\.decay"/);
});

test('a UNet whose structure diffusers cannot describe is refused with the place', async (t) => {
  const attention = `${UNET}.input_blocks.1.1.`;
  const error = await refusal(t, 'sd-1', (tensors) => {
    for (const name of tensors.keys()) if (name.startsWith(attention)) tensors.delete(name);
  });
  assert.equal(error.code, 'unsupported_config');
  assert.match(error.message, /the UNet has attention in "input_blocks\.2" and none in "input_blocks\.1"/);
});

test('a UNet with fewer blocks on its way up than down is refused', async (t) => {
  const error = await refusal(t, 'sd-1', (tensors) => {
    for (const name of tensors.keys()) if (name.startsWith(`${UNET}.output_blocks.5.`)) tensors.delete(name);
  });
  assert.equal(error.code, 'unsupported_config');
  assert.match(error.message, /way up have 3, 2 ResNets where those of the way down ask for 3, 3/);
});

test('the extension may be .sft, in any case', async (t) => {
  const path = madeFile(t, 'sd-1');
  const renamed = path.replace('.safetensors', '.SFT');
  renameSync(path, renamed);
  assert.equal((await openCheckpoint(renamed, { families: FAMILIES })).modelName, 'sd-1');
});

test('a latent consistency UNet in a file is refused with what can be named instead', async (t) => {
  const error = await refusal(t, 'sd-1', (tensors) =>
    tensors.set(`${UNET}.time_embed.cond_proj.weight`, zeros([64, 256])),
  );
  assert.match(
    error.message,
    /is a latent consistency checkpoint with an embedding of the guidance.*name its repository/,
  );
});

test('float8 weights with a scale for each row generate as the same numbers in float32', async (t) => {
  const request = { text: 'a red square', seed: 3, num_inference_steps: 1, width: 64, height: 48 };
  const row = (index: number): number => 2 ** ((index % 3) - 1);
  const scaled = madeFile(t, 'sd-2', (tensors) => halveRows(tensors, { row, isFloat8: true }));
  const plain = madeFile(t, 'sd-2', (tensors) => halveRows(tensors, { row, isFloat8: false }));
  const [one, other] = [await drawnBy(scaled, request), await drawnBy(plain, request)];
  assert.deepEqual(one.pixels, other.pixels);
});

/** The text encoder's fused matrices: zeros and ±1 in float8 with scales beside them, or the products in float32. */
function halveRows(
  tensors: Map<string, StoredTensor>,
  { row, isFloat8 }: { readonly row: (index: number) => number; readonly isFloat8: boolean },
): void {
  const ONE = 0x38;
  for (const [name, { shape }] of [...tensors].filter(([one]) => /attn\.in_proj_weight$|c_fc\.weight$/.test(one))) {
    const [rows = 1, columns = 1] = shape;
    // −1, 0 and 1 in E4M3.
    const digits = Buffer.from(
      Array.from({ length: rows * columns }, (_, index) => [0, ONE, ONE | 0x80][(index * 7) % 3] as number),
    );
    if (isFloat8) {
      tensors.set(name, { dtype: 'F8_E4M3', shape, data: digits });
      const scales = Float32Array.from({ length: rows }, (_, index) => row(index));
      const data = Buffer.from(scales.buffer);
      if (name.endsWith('.weight'))
        tensors.set(name.replace(/weight$/, 'scale_weight'), { dtype: 'F32', shape: [rows, 1], data });
      else tensors.set(name, float32Of(digits, shape, row));
    } else tensors.set(name, float32Of(digits, shape, row));
  }
}

function float32Of(digits: Buffer, shape: readonly number[], row: (index: number) => number): StoredTensor {
  const columns = shape[1] ?? 1;
  const values = Float32Array.from(digits, (byte, index) => {
    const sign = byte === 0 ? 0 : byte > 0x80 ? -1 : 1;
    return sign * row(Math.floor(index / columns));
  });
  return { dtype: 'F32', shape, data: Buffer.from(values.buffer) };
}

for (const name of ['sd-1', 'sd-2-base', 'sd-turbo', 'xl'])
  test(`${name}: a file that says all has no notes`, async (t) => {
    const { warnings, details } = await opened(t, name, () => undefined);
    assert.deepEqual(warnings, []);
    assert.ok(details.length <= 1);
  });

test('a variant of a file is a note', async (t) => {
  const { warnings } = await openCheckpoint(madeFile(t, 'sd-1'), { families: FAMILIES, variant: 'fp16' });
  assert.deepEqual(warnings, ['A single file has no variants, so "fp16" is not looked for.']);
});

const MARK: StoredTensor = { dtype: 'F16', shape: [0], data: Buffer.alloc(0) };

function mark(tensors: Map<string, StoredTensor>): void {
  for (const name of ['v_pred', 'ztsnr']) tensors.set(name, MARK);
}

test('a 1.x file with zero terminal SNR has DDIM, which can do it, instead of PNDM, and a note says so', async (t) => {
  const { scheduler, warnings } = await opened(t, 'sd-1', mark);
  assert.equal(scheduler.className, 'DDIMScheduler');
  assert.equal(scheduler.config['rescale_betas_zero_snr'], true);
  assert.equal(warnings.length, 1);
  assert.match(warnings[0] ?? '', /"ztsnr".*PNDMScheduler cannot do; DDIMScheduler is its scheduler/);
  // The same weights in a folder, with the scheduler that it should have.
  const folder = madeFolder(t, 'sd-1');
  setKeys(join(folder, 'model_index.json'), { scheduler: ['diffusers', 'DDIMScheduler'] });
  const zeroSnr = { prediction_type: 'v_prediction', rescale_betas_zero_snr: true, skip_prk_steps: undefined };
  setKeys(join(folder, 'scheduler/scheduler_config.json'), { _class_name: 'DDIMScheduler', ...zeroSnr });
  const request = { text: 'a red square', seed: 3, num_inference_steps: 2, width: 64, height: 48 };
  assert.deepEqual(await drawnBy(madeFile(t, 'sd-1', mark), request), await drawnBy(folder, request));
});

test('a NoobAI v-pred file has the scheduler that its page publishes', async (t) => {
  const { scheduler } = await openCheckpoint(madeFile(t, 'xl-v-prediction'), { families: FAMILIES });
  assert.ok(scheduler !== undefined);
  const published = JSON.parse(readFileSync(PUBLISHED, 'utf8')) as Readonly<Record<string, unknown>>;
  const { _class_name: className } = published;
  assert.equal(scheduler.className, className);
  const stated = Object.entries(scheduler.config);
  assert.deepEqual(
    stated,
    Object.keys(scheduler.config).map((key) => [key, published[key]]),
  );
  for (const steps of [1, 7, 28, 1000]) {
    const [ours, theirs] = [scheduler.config, published].map((config) =>
      createScheduler(String(className), { configFor: () => config }, { steps }),
    );
    assert.deepEqual(ours?.passes, theirs?.passes);
    assert.equal(ours?.initNoiseSigma, theirs?.initNoiseSigma);
  }
});

test('the operator says what a folder or a file predicts', async (t) => {
  const predictionType = 'v_prediction';
  for (const path of [madeFile(t, 'sd-1'), madeFolder(t, 'sd-1')]) {
    const { scheduler } = await openCheckpoint(path, { families: FAMILIES, predictionType });
    assert.equal(scheduler?.config['prediction_type'], predictionType);
  }
});
