/** The compile cache: what it keeps is checked before it is used, and what is not its own is never touched. */
import assert from 'node:assert/strict';
import {
  chmod,
  cp,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rm,
  stat,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { after, test } from 'node:test';
import { openKnown } from '../checkpoint/open-known.ts';
import { CLIP_TEXT_MODEL } from '../../src/networks/clip-text-model.ts';
import { UNET_2D_CONDITION_MODEL } from '../../src/networks/unet-2d-condition-model.ts';
import type { CompileCacheSettings } from '../../src/runtime/contract.ts';
import { float32, floatsOf, int32 } from '../../src/runtime/tensors.ts';
import type { BuiltGraph } from '../../src/onnx/graph.ts';
import { defaultLimit } from '../../src/runtime/cache-entries.ts';
import { openOnCpu } from './open-on-cpu.ts';

const place = await mkdtemp(join(tmpdir(), 'text2img-compile-'));
after(() => rm(place, { recursive: true, force: true }));
const model = join(place, 'model');
await cp(fileURLToPath(new URL('../../models/demo', import.meta.url)), model, { recursive: true });
const weights = join(model, 'text_encoder/model.safetensors');

async function textGraph(): Promise<BuiltGraph> {
  const { text_encoder: textEncoder } = (await openKnown(model)).networks;
  return CLIP_TEXT_MODEL.build({ ...textEncoder, computeType: 'float32' });
}

interface Opened {
  readonly notes: readonly string[];
  readonly values: Float32Array;
}

/** Opens the text encoder through the cache in `folder` and runs it. */
async function openThrough(folder: string, settings: Partial<CompileCacheSettings> = {}): Promise<Opened> {
  const notes: string[] = [];
  await using network = await openOnCpu(await textGraph(), {
    folder,
    minWeightBytes: 0,
    onNote: (sentence) => notes.push(sentence),
    ...settings,
  });
  const outputs = await network.run({ input_ids: int32(new Int32Array(77).fill(5), [1, 77]) });
  return { notes, values: Float32Array.from(floatsOf(outputs, 'last_hidden_state')) };
}

const entriesOf = async (folder: string): Promise<string[]> =>
  (await readdir(folder)).filter((name) => /^[0-9a-f]{32}$/.test(name)).map((name) => join(folder, name));

async function madeAtMs(entry: string): Promise<bigint> {
  return (await stat(join(entry, 'model.onnx'), { bigint: true })).ino;
}

/** Changes bytes in place and puts the old time back, as a copying tool does. */
async function overwrite(path: string, change: (bytes: Buffer) => void): Promise<void> {
  const before = await stat(path);
  const bytes = await readFile(path);
  change(bytes);
  const handle = await open(path, 'r+');
  await handle.write(bytes, 0, bytes.length, 0);
  await handle.close();
  await utimes(path, before.atime, before.mtime);
}

test('each network gives the same numbers from the cache, whatever constants its graph has', async () => {
  const { text_encoder: textEncoder, unet, vae } = (await openKnown(model)).networks;
  const features = textEncoder.config.hidden_size;
  const [channels, latents] = [unet.config.in_channels, vae.config.latent_channels];
  const wave = (size: number): Float32Array => Float32Array.from({ length: size }, (_, index) => Math.sin(index));
  const networks = [
    {
      graph: UNET_2D_CONDITION_MODEL.build({ ...unet, computeType: 'float32' }),
      inputs: {
        sample: float32(wave(channels * 64), [1, channels, 8, 8]),
        timestep: float32(Float32Array.of(500), [1]),
        encoder_hidden_states: float32(wave(77 * features), [1, 77, features]),
      },
      output: 'out_sample',
    },
    {
      graph: vae.networkClass.build({ ...vae, computeType: 'float32' }),
      inputs: { latent_sample: float32(wave(latents * 64), [1, latents, 8, 8]) },
      output: 'sample',
    },
  ];
  for (const { graph, inputs, output } of networks) {
    const results = [];
    for (const folder of [null, join(place, 'networks'), join(place, 'networks')]) {
      await using network = await openOnCpu(graph, { folder, minWeightBytes: 0 });
      results.push(floatsOf(await network.run(inputs), output).slice());
    }
    assert.deepEqual(results[1], results[0]);
    assert.deepEqual(results[2], results[0]);
  }
});

test('an entry is made once, used again, and gives the same numbers', async () => {
  const folder = join(place, 'once');
  const first = await openThrough(folder);
  const [entry] = await entriesOf(folder);
  assert.ok(entry !== undefined);
  const made = await madeAtMs(entry);
  const second = await openThrough(folder);
  assert.deepEqual(second.values, first.values);
  assert.deepEqual([...first.notes, ...second.notes], []);
  assert.equal(await madeAtMs(entry), made, 'it was not made again');
  assert.deepEqual(
    (await readdir(folder)).filter((name) => name.startsWith('draft-') || name.endsWith('.lock')),
    [],
  );
});

test('another graph over the same weights is a miss, and leaves the first entry as it was', async () => {
  const folder = join(place, 'miss');
  await openThrough(folder);
  const [first] = await entriesOf(folder);
  const made = await madeAtMs(first as string);
  const { text_encoder: textEncoder } = (await openKnown(model)).networks;
  const other = CLIP_TEXT_MODEL.build({ ...textEncoder, computeType: 'float32', sizes: { tokens: 40 } });
  for (const entries of [2, 2]) {
    await using network = await openOnCpu(other, { folder, minWeightBytes: 0 });
    const { last_hidden_state: state } = await network.run({
      input_ids: int32(new Int32Array(40).fill(5), [1, 40]),
    });
    assert.deepEqual(state?.shape, [1, 40, textEncoder.config.hidden_size]);
    assert.equal((await entriesOf(folder)).length, entries);
  }
  assert.equal(await madeAtMs(first as string), made);
});

test('a graph of fewer bytes of weights than are worth it has no entry', async () => {
  const folder = join(place, 'none');
  const graph = await textGraph();
  await mkdir(folder);
  await openThrough(folder, { minWeightBytes: graph.weightBytes + 1 });
  assert.deepEqual(await readdir(folder), []);
  await openThrough(folder, { minWeightBytes: graph.weightBytes });
  assert.equal((await entriesOf(folder)).length, 1);
});

test('an entry of which half became zeros, as after a power cut, is noticed and made anew', async () => {
  const folder = join(place, 'torn');
  const first = await openThrough(folder);
  for (const file of ['model.onnx.data', 'model.onnx']) {
    const [entry] = await entriesOf(folder);
    await overwrite(join(entry as string, file), (bytes) => bytes.fill(0, bytes.length >> 1));
    const again = await openThrough(folder);
    assert.deepEqual(again.values, first.values);
    assert.match(again.notes.join(), /was changed after it was written/);
    assert.deepEqual((await openThrough(folder)).notes, []);
  }
});

test('weights that were replaced under their old size and time are seen', async () => {
  const folder = join(place, 'replaced');
  const first = await openThrough(folder);
  await overwrite(weights, (bytes) => {
    const start = 8 + Number(bytes.readBigUInt64LE());
    for (let at = start; at < bytes.length; at += 2) bytes[at + 1] = (bytes[at + 1] as number) ^ 0x80;
  });
  const cached = await openThrough(folder);
  const direct = await openThrough(folder, { folder: null });
  assert.deepEqual(cached.values, direct.values);
  assert.notDeepEqual(cached.values, first.values);
  assert.equal((await entriesOf(folder)).length, 2);
});

test('weights that only got another time keep their entry', async () => {
  const folder = join(place, 'moved');
  await openThrough(folder);
  await utimes(weights, new Date(1e12), new Date(1e12));
  assert.deepEqual((await openThrough(folder)).notes, []);
  assert.equal((await entriesOf(folder)).length, 1);
});

test('a warm start reads no weights; "always" reads them, "never" trusts size and time', async () => {
  const folder = join(place, 'verify');
  await openThrough(folder);
  const [entry] = await entriesOf(folder);
  const data = join(entry as string, 'model.onnx.data');
  const marker = join(entry as string, 'text2img-cache-entry.json');
  // The entry says of itself what it does not hold: seen only by whoever reads it.
  const text = (await readFile(marker, 'utf8')).replaceAll(/"sha256":"[0-9a-f]{64}"/g, `"sha256":"${'0'.repeat(64)}"`);
  await writeFile(marker, text);
  assert.deepEqual((await openThrough(folder, { verify: 'changed' })).notes, []);
  await chmod(data, 0o600);
  assert.deepEqual((await openThrough(folder, { verify: 'never' })).notes, [], 'the ctime changed, nothing else');
  assert.match((await openThrough(folder, { verify: 'always' })).notes.join(), /was changed after it was written/);
});

test('what others keep in the folder is neither counted nor removed, whatever it is called and however old it is', async () => {
  const folder = join(place, 'shared');
  await mkdir(join(folder, 'photos'), { recursive: true });
  await writeFile(join(folder, 'photos/a.jpg'), '');
  await truncate(join(folder, 'photos/a.jpg'), 17 * 2 ** 30);
  const others = ['draft-of-my-book', '0123456789abcdef0123456789abcdef', '.hidden'];
  for (const name of others) {
    await mkdir(join(folder, name));
    await writeFile(join(folder, name, 'text.txt'), 'dear');
  }
  await writeFile(join(folder, 'draft-notes.txt'), 'x');
  for (const name of [...others, 'photos', 'draft-notes.txt']) await utimes(join(folder, name), 1e9, 1e9);
  await openThrough(folder, { limitBytes: 1 });
  for (const name of others) assert.equal(await readFile(join(folder, name, 'text.txt'), 'utf8'), 'dear');
  assert.equal((await stat(join(folder, 'photos/a.jpg'))).size, 17 * 2 ** 30);
  assert.equal(await readFile(join(folder, 'draft-notes.txt'), 'utf8'), 'x');
});

test('beyond its cap the cache removes its own entries, the least recently used first, and its abandoned drafts', async () => {
  const folder = join(place, 'cap');
  await openThrough(folder);
  const [first] = await entriesOf(folder);
  await cp(first as string, join(folder, 'draft-abandoned'), { recursive: true });
  await utimes(join(folder, 'draft-abandoned'), 1e9, 1e9);
  await utimes(first as string, 1e9, 1e9);
  await overwrite(weights, (bytes) => void (bytes[bytes.length - 1] = (bytes[bytes.length - 1] as number) ^ 1));
  await openThrough(folder, { limitBytes: 1 });
  const left = await entriesOf(folder);
  assert.equal(left.length, 1);
  assert.notEqual(left[0], first);
  assert.ok(!(await readdir(folder)).includes('draft-abandoned'));
});

test('without a limit of the operator’s the cache keeps what fits into 16 GiB or twice its largest entry, and never fills the disk', () => {
  const gib = 2 ** 30;
  const limit = (sizes: readonly number[], entryBytes: number, freeBytes: number): number =>
    defaultLimit({ sizes, entryBytes, freeBytes });
  assert.equal(limit([], 3 * gib, 100 * gib), 16 * gib);
  assert.equal(limit([3 * gib], 10 * gib, 100 * gib), 20 * gib);
  assert.equal(limit([10 * gib], 3 * gib, 100 * gib), 20 * gib);
  assert.equal(limit([2 * gib, 3 * gib], 3 * gib, 4 * gib), 7 * gib);
});

test('several openings at once make one entry, and all get the same numbers', async () => {
  const folder = join(place, 'together');
  const opened = await Promise.all([openThrough(folder), openThrough(folder), openThrough(folder)]);
  for (const { values } of opened) assert.deepEqual(values, opened[0]?.values);
  assert.equal((await entriesOf(folder)).length, 1);
});

test('a cache that cannot be used costs time, never the model', async () => {
  const folder = join(place, 'file');
  await writeFile(folder, 'no folder');
  const { notes, values } = await openThrough(folder);
  assert.match(notes.join(), /could not be used/);
  assert.deepEqual(values, (await openThrough(folder, { folder: null })).values);
  assert.equal(await readFile(folder, 'utf8'), 'no folder');
});
