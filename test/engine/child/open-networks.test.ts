/** Networks in float16 that overflow: the image is drawn with the same networks in float32, which are opened when they are needed. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { openKnown } from '../../checkpoint/open-known.ts';
import { runJobs } from '../../../src/pipelines/run-jobs.ts';
import type { Family } from '../../../src/pipelines/family.ts';
import { DEFAULT_RUNTIME } from '../../../src/runtime/registry.ts';
import { NetworkOpener } from '../../../src/engine/child/open-networks.ts';
import { buildGraph } from '../../../src/pipelines/prove-fit.ts';
import type { RawImage } from '../../../src/job/raw-image.ts';
import type { ComputeType } from '../../../src/onnx/graph.ts';
import { copyOfBase, editTensors, setKeys, UNET, VAE } from '../../checkpoint/checkpoint-copies.ts';
import { aRequest } from '../../job/a-request.ts';

interface Drawing {
  readonly rgb: Uint8Array;
  readonly warnings: readonly string[];
  /** How often float32 graphs were asked for. */
  readonly widened: number;
}

async function draw(folder: string, computeType: ComputeType): Promise<Drawing> {
  const checkpoint = await openKnown(folder);
  let widened = 0;
  await using opener = new NetworkOpener({
    runtime: DEFAULT_RUNTIME,
    device: 'cpu',
    computeType,
    graphOf: (component, choice) => {
      if (choice.computeType !== computeType) widened++;
      return buildGraph(checkpoint, component, choice);
    },
    threads: 1,
    cache: { folder: null },
  });
  const family: Family = checkpoint.family;
  await using pipeline = await family.load(checkpoint, {
    open: opener.open,
    settings: { computeType, vaeTiling: false },
  });
  const images: RawImage[] = [];
  let warnings: readonly string[] = [];
  const request = {
    prompt: 'a red circle',
    negativePrompt: '',
    seed: 3,
    numInferenceSteps: 2,
    guidanceScale: 4,
    numImages: 2,
  };
  await runJobs(
    pipeline,
    [
      {
        jobId: 'a',
        request: aRequest({ ...request, widthPx: 32, heightPx: 32 }),
        images: [],
        signal: new AbortController().signal,
      },
    ],
    {
      maxBatchImages: 1,
      yieldToEventLoop: () => Promise.resolve(),
      observer: {
        onProgress: () => undefined,
        onImage: (_, { image }) => images.push(image),
        onDone: (_, told) => {
          warnings = told;
        },
        onFailed: (_, error) => {
          throw error;
        },
      },
    },
  );
  assert.equal(images.length, 2);
  return { rgb: Buffer.concat(images.map(({ pixels }) => pixels)), warnings, widened };
}

/** Fills a vector of the weights with numbers that are more than float16 holds, and nothing for float32. */
function withLarge(t: TestContext, file: string, name: string, base?: 'base-xl'): string {
  const folder = copyOfBase(t, base);
  editTensors(join(folder, file), (tensors) => {
    const tensor = tensors.get(name);
    assert.ok(tensor !== undefined && tensor.shape.length === 1, name);
    const large = Float32Array.from({ length: tensor.shape[0] ?? 0 }, (_, index) => (index % 2 === 0 ? 1e6 : -1e6));
    tensors.set(name, { ...tensor, dtype: 'F32', data: Buffer.from(large.buffer) });
  });
  return folder;
}

test('what float16 can hold is drawn in float16, and no network is opened twice', async (t) => {
  const { warnings, widened } = await draw(copyOfBase(t), 'float16');
  assert.deepEqual([warnings, widened], [[], 0]);
});

test('an autoencoder that overflows decodes again in float32', async (t) => {
  const folder = withLarge(t, VAE, 'decoder.up_blocks.1.resnets.0.conv1.bias');
  const { warnings, widened } = await draw(folder, 'float16');
  assert.equal(widened, 1);
  assert.deepEqual(
    warnings.map((sentence) => sentence.replace(/,.*/, '')),
    ['Image 1 was decoded again in float32', 'Image 2 was decoded again in float32'],
  );
});

test('an autoencoder whose configuration says that it overflows decodes in float32 at once, beside a UNet in float16', async (t) => {
  const folder = withLarge(t, VAE, 'decoder.up_blocks.1.resnets.0.conv1.bias');
  setKeys(join(folder, 'vae/config.json'), { force_upcast: true });
  const { rgb, warnings, widened } = await draw(folder, 'float16');
  assert.deepEqual([warnings, widened], [[], 0]);
  const { rgb: single } = await draw(folder, 'float32');
  const largest = rgb.reduce((most, value, index) => Math.max(most, Math.abs(value - (single[index] as number))), 0);
  assert.ok(largest <= 8, `differs by ${largest} of 255 from float32 alone`);
});

test('a UNet that overflows draws again in float32, and only the text encoder and the autoencoder keep float16', async (t) => {
  const folder = withLarge(t, UNET, 'mid_block.resnets.0.conv1.bias');
  const { warnings, rgb } = await draw(folder, 'float16');
  assert.deepEqual(
    warnings.map((sentence) => sentence.replace(/,.*/, '')),
    ['Image 1 was generated again in float32', 'Image 2 was generated again in float32'],
  );
  const whole = await draw(folder, 'float32');
  const largest = rgb.reduce((most, value, index) => Math.max(most, Math.abs(value - (whole.rgb[index] as number))), 0);
  assert.ok(largest <= 8, `differs by ${largest} of 255 from float32 alone`);
});

const SECOND_TEXT = 'text_encoder_2/model.safetensors';

test('XL: a pooled prompt that overflows is encoded again in float32, and nothing else is', async (t) => {
  // In the last layer: the UNet reads the one before it, and the pooled prompt behind it.
  const { num_hidden_layers: layers } = JSON.parse(
    readFileSync(new URL('../../golden/base-xl/text_encoder_2/config.json', import.meta.url), 'utf8'),
  ) as { num_hidden_layers: number };
  const name = `text_model.encoder.layers.${layers - 1}.mlp.fc1.bias`;
  const { warnings, widened } = await draw(withLarge(t, SECOND_TEXT, name, 'base-xl'), 'float16');
  assert.deepEqual(
    warnings.map((sentence) => sentence.replace(/,.*/, '')),
    ['The prompt was encoded again in float32', 'The negative prompt was encoded again in float32'],
  );
  // The autoencoder, whose configuration asks for it, and the text encoder.
  assert.equal(widened, 2);
});

test('XL: an autoencoder whose configuration says nothing about float16 decodes in float32 at once; one that says that it fits does so when it overflows', async (t) => {
  const folder = withLarge(t, VAE, 'decoder.up_blocks.1.resnets.0.conv1.bias', 'base-xl');
  setKeys(join(folder, 'vae/config.json'), { force_upcast: undefined });
  const { warnings, widened } = await draw(folder, 'float16');
  assert.deepEqual([warnings, widened], [[], 1]);
  setKeys(join(folder, 'vae/config.json'), { force_upcast: false });
  const again = await draw(folder, 'float16');
  assert.equal(again.warnings.length, 2);
});
