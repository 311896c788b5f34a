/** Entries of the compile cache for networks that share one file, and for an autoencoder beside it. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { openCheckpoint } from '../../../src/checkpoint/open-checkpoint.ts';
import { buildGraph } from '../../../src/pipelines/prove-fit.ts';
import { FAMILIES } from '../../../src/pipelines/registry.ts';
import { float32, floatsOf, int32 } from '../../../src/runtime/tensors.ts';
import { openOnCpu } from '../../runtime/open-on-cpu.ts';
import { editTensors } from '../checkpoint-copies.ts';
import { madeFile, madeVaeFile } from './make-file.ts';

const place = mkdtempSync(join(tmpdir(), 'text2img-file-cache-'));
after(() => rmSync(place, { recursive: true, force: true }));

const NETWORKS = {
  text_encoder: {
    inputs: {
      input_ids: int32(
        Int32Array.from({ length: 77 }, (_, index) => index * 7),
        [1, 77],
      ),
    },
    output: 'last_hidden_state',
  },
  vae: {
    inputs: {
      latent_sample: float32(
        Float32Array.from({ length: 256 }, (_, index) => Math.sin(index)),
        [1, 4, 8, 8],
      ),
    },
    output: 'sample',
  },
} as const;

interface Given {
  readonly vae?: string;
  /** Absent: without a cache. */
  readonly folder?: string;
}

/** @returns the network's numbers for fixed inputs */
async function numbersOf(
  path: string,
  component: keyof typeof NETWORKS,
  { vae, folder }: Given,
): Promise<Float32Array> {
  const checkpoint = await openCheckpoint(path, { families: FAMILIES, ...(vae === undefined ? {} : { vae }) });
  const { inputs, output } = NETWORKS[component];
  const graph = buildGraph(checkpoint, component, { computeType: 'float32' });
  const onNote = (note: string): void => assert.fail(note);
  await using network = await openOnCpu(
    graph,
    folder === undefined ? undefined : { folder, minWeightBytes: 0, onNote },
  );
  return floatsOf(await network.run(inputs), output);
}

const entriesIn = (folder: string): readonly string[] =>
  readdirSync(folder).filter((name) => /^[0-9a-f]{32}$/.test(name));

for (const name of ['sd-1', 'sd-1-fp8-scaled'])
  test(`${name}: each network of a file has its own entry, which it keeps where the file moves`, async (t) => {
    const [path, folder] = [madeFile(t, name), join(place, name)];
    const moved = join(dirname(path), 'another name.safetensors');
    for (const [index, component] of (['text_encoder', 'vae'] as const).entries()) {
      const expected = await numbersOf(path, component, {});
      assert.deepEqual(await numbersOf(path, component, { folder }), expected);
      renameSync(path, moved);
      assert.deepEqual(await numbersOf(moved, component, { folder }), expected);
      renameSync(moved, path);
      assert.equal(entriesIn(folder).length, index + 1);
    }
  });

test('another autoencoder beside the same file has an entry of its own, and changes none of the file’s', async (t) => {
  const [path, other, folder] = [madeFile(t, 'sd-1'), madeVaeFile(t, 'original'), join(place, 'vae')];
  editTensors(other, (tensors) => {
    const bias = tensors.get('decoder.conv_out.bias');
    assert.ok(bias !== undefined);
    tensors.set('decoder.conv_out.bias', { ...bias, data: Buffer.alloc(bias.data.length) });
  });
  const own = await numbersOf(path, 'vae', { folder });
  const given = await numbersOf(path, 'vae', { folder, vae: other });
  assert.notDeepEqual(given, own);
  assert.deepEqual(given, await numbersOf(path, 'vae', { vae: other }));
  assert.deepEqual(await numbersOf(path, 'vae', { folder }), own);
  assert.equal(entriesIn(folder).length, 2);
});
