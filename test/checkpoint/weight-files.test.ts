/** Which weight files are taken, which are refused unopened, and what is said about a file that is something else. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openKnown } from './open-known.ts';
import { readSafetensorsHeader } from '../../src/checkpoint/safetensors.ts';
import { chooseWeightFile, shardsOf } from '../../src/checkpoint/weight-files.ts';
import { SAFETENSORS_BITS } from '../../src/onnx/weights.ts';
import { Text2ImgError } from '../../src/errors/text2img-error.ts';
import { copyOfBase, editTensors, readTensors, TEXT, UNET, VAE, writeTensors, zeros } from './checkpoint-copies.ts';

/** Splits the file into two shards with an index, and leaves something else under its own name. */
function shard(path: string, { indexName = `${path}.index.json`, keepWhole = false } = {}): void {
  const tensors = [...readTensors(path)];
  const stem = path.replace(/\.safetensors$/, '');
  const map: Record<string, string> = {};
  for (const [part, some] of [tensors.slice(0, 3), tensors.slice(3)].entries()) {
    const file = `${stem}-0000${part + 1}-of-00002.safetensors`;
    writeTensors(file, new Map(some));
    for (const [name] of some) map[name] = file.slice(file.lastIndexOf('/') + 1);
  }
  writeFileSync(indexName, JSON.stringify({ metadata: {}, weight_map: map }));
  if (!keepWhole) rmSync(path);
}

async function message(folder: string, variant?: string): Promise<string> {
  const error: unknown = await openKnown(folder, variant === undefined ? {} : { variant }).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof Text2ImgError, `refused: ${String(error)}`);
  assert.equal(error.fault, 'model', `${error.code}: ${error.message}`);
  assert.ok(error.message.length <= 600);
  return error.message;
}

test('where an index and a whole file lie side by side, UNet and VAE take the shards and the text encoder takes the file', async (t) => {
  const folder = copyOfBase(t);
  for (const file of [UNET, VAE, TEXT]) shard(join(folder, file), { keepWhole: true });
  const { unet, vae, text_encoder: textEncoder } = (await openKnown(folder)).networks;
  assert.match(
    unet.weights.place('conv_in.weight').file,
    /-00001-of-00002\.safetensors$|-00002-of-00002\.safetensors$/,
  );
  assert.match(vae.weights.place('decoder.conv_in.weight').file, /-of-00002\.safetensors$/);
  assert.match(textEncoder.weights.place('final_layer_norm.weight').file, /\/model\.safetensors$/);
});

for (const name of [
  '/etc/passwd',
  '../vae/diffusion_pytorch_model.safetensors',
  'a/../../../x.safetensors',
  '..',
  '.',
]) {
  test(`a shard called ${JSON.stringify(name)} is refused unopened`, async (t) => {
    const folder = copyOfBase(t);
    shard(join(folder, UNET));
    const index = join(folder, `${UNET}.index.json`);
    const { weight_map: map } = JSON.parse(readFileSync(index, 'utf8')) as { weight_map: object };
    writeFileSync(index, JSON.stringify({ weight_map: { ...map, more: name } }));
    const said = await message(folder);
    assert.match(said, /lies outside the folder of the index; it is not opened/);
    assert.ok(said.includes(JSON.stringify(name)));
  });
}

test('a shard that the index names and nobody downloaded is named', async (t) => {
  const folder = copyOfBase(t);
  shard(join(folder, VAE));
  rmSync(join(folder, 'vae/diffusion_pytorch_model-00002-of-00002.safetensors'));
  assert.match(await message(folder), /has no file .*vae\/diffusion_pytorch_model-00002-of-00002\.safetensors/);
});

test('a variant that no network has is refused, and one that some have is used with a warning about the others', async (t) => {
  const folder = copyOfBase(t);
  assert.match(await message(folder, 'bf16'), /no weight file of .* has the variant "bf16"; leave out --variant/);
  renameSync(join(folder, VAE), join(folder, 'vae/diffusion_pytorch_model.bf16.safetensors'));
  writeFileSync(join(folder, VAE), 'not read');
  const { warnings, networks } = await openKnown(folder, { variant: 'bf16' });
  assert.match(networks.vae.weights.place('decoder.conv_in.weight').file, /\.bf16\.safetensors$/);
  assert.ok(warnings.some((sentence) => /"bf16" for text_encoder and unet; the plain ones are used/.test(sentence)));
});

for (const indexName of [
  'diffusion_pytorch_model.safetensors.index.fp16.json',
  'diffusion_pytorch_model.fp16.safetensors.index.json',
]) {
  test(`the shards of a variant are found by ${indexName}`, async (t) => {
    const folder = copyOfBase(t);
    shard(join(folder, UNET), { indexName: join(folder, 'unet', indexName), keepWhole: true });
    const { unet } = (await openKnown(folder, { variant: 'fp16' })).networks;
    assert.match(unet.weights.place('conv_in.weight').file, /-of-00002\.safetensors$/);
  });
}

test('a shard of a variant is no weight file of its own, and of several variants one must be named', async (t) => {
  const folder = copyOfBase(t);
  const unet = join(folder, UNET);
  renameSync(unet, unet.replace('.safetensors', '.fp16-00001-of-00002.safetensors'));
  assert.match(await message(folder), /unet has no weights/);
  for (const variant of ['non_ema', 'fp16'])
    writeTensors(unet.replace('.safetensors', `.${variant}.safetensors`), new Map([['a', zeros([1])]]));
  assert.match(await message(folder), /several variants and none without: "fp16", "non_ema"; name one with --variant/);
});

const base = 'diffusion_pytorch_model';
const whole = `${base}.safetensors`;
const index = `${base}.safetensors.index.json`;
const half = `${base}.fp16.safetensors`;
const choices: readonly (readonly [
  names: readonly string[],
  variant: string | undefined,
  chosen: string | undefined,
])[] = [
  [[whole, half], undefined, whole],
  [[whole, half], 'fp16', half],
  [[whole], 'fp16', whole],
  [[half], undefined, half],
  [[whole, index], undefined, index],
  [[`${base}.bin`, `${base}.fp16.bin`], undefined, undefined],
  [[`${base}-00001-of-00001.safetensors`], undefined, undefined],
  [[`${base}_ema.safetensors`, `other.safetensors`, `${base}.a.b.safetensors`], undefined, undefined],
  [[whole, `${base}.safetensors.index.fp16.json`], 'fp16', `${base}.safetensors.index.fp16.json`],
  [[whole, `${base}.fp16.safetensors.index.json`], 'fp16', `${base}.fp16.safetensors.index.json`],
];
for (const [names, variant, chosen] of choices) {
  test(`of ${names.join(' and ')} ${variant ?? 'plain weights'} are ${chosen ?? 'not there'}`, () => {
    for (const order of [names, names.toReversed()]) {
      const wanted = { component: 'unet', baseName: base, ...(variant === undefined ? {} : { variant }) };
      assert.equal(chooseWeightFile(order, wanted)?.name, chosen);
    }
  });
}

test('shards belong to the index of their variant, whether it stands in front of their number or behind it', () => {
  const shards = (variant: string): string[] =>
    [1, 2].map((shard) => `${base}${variant}-0000${shard}-of-00002.safetensors`);
  const behind = [1, 2].map((shard) => `${base}-0000${shard}-of-00002.bf16.safetensors`);
  const indexes = [index, `${base}.safetensors.index.fp16.json`, `${base}.safetensors.index.bf16.json`];
  const names = [...shards(''), ...shards('.fp16'), ...behind, ...indexes];
  for (const [variant, expected] of [
    [undefined, shards('')],
    ['fp16', shards('.fp16')],
    ['bf16', behind],
  ] as const) {
    const chosen = chooseWeightFile(names, {
      component: 'unet',
      baseName: base,
      ...(variant === undefined ? {} : { variant }),
    });
    assert.ok(chosen !== undefined);
    assert.deepEqual(shardsOf(chosen, names, base), expected);
  }
});

test('a tensor that nothing asks for may have any type of the format', async (t) => {
  const path = join(copyOfBase(t), UNET);
  editTensors(path, (tensors) => {
    for (const [dtype, bits] of Object.entries(SAFETENSORS_BITS))
      tensors.set(`extra.${dtype}`, { dtype, shape: [8, 3], data: Buffer.alloc(3 * bits) });
  });
  const places = await readSafetensorsHeader(path);
  assert.equal(places.get('extra.F6_E2M3')?.lengthBytes, 18);
  assert.equal(places.get('extra.C64')?.lengthBytes, 192);
});

test('a header whose length begins like a gzip file is a header all the same', async (t) => {
  const path = join(copyOfBase(t), 'odd.safetensors');
  writeTensors(path, new Map([['a', zeros([2])]]), 0x8b1f);
  assert.deepEqual((await readSafetensorsHeader(path)).get('a')?.shape, [2]);
});

const LFS = `version https://git-lfs.github.com/spec/v1\r\noid sha256:${'0'.repeat(64)}\r\nsize 3438167540\r\n`;
const contents: readonly (readonly [title: string, content: string | Uint8Array, says: RegExp])[] = [
  ['a git LFS pointer with Windows line ends', LFS, /is a git LFS pointer.*"git lfs pull"/],
  ['a git-annex pointer', '/annex/objects/SHA256E-s34--00.safetensors\n', /is a git-annex pointer/],
  ['a web page behind a byte order mark', '\ufeff\n <!DOCTYPE HTML>\n<title>403</title>', /is a web page \(HTML\)/],
  ['a web page that begins with a comment', '<!-- proxy --><html lang="de"></html>', /is a web page \(HTML\)/],
  ['an XML error', '<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', /is an XML document/],
  ['nothing', '', /is empty \(0 bytes\)/],
  ['a zip archive', Uint8Array.of(0x50, 0x4b, 3, 4, 20, 0, 0, 0, 8, 8, 0, 0), /is a zip archive/],
];
for (const [title, content, says] of contents) {
  for (const file of [VAE, 'text_encoder/config.json', 'model_index.json', 'tokenizer/merges.txt']) {
    test(`${title} as ${file} is told as what it is`, async (t) => {
      const folder = copyOfBase(t);
      writeFileSync(join(folder, file), content);
      const said = await message(folder);
      assert.match(said, says);
      assert.ok(said.includes(file));
    });
  }
}

const files = [TEXT, 'vae/config.json', 'scheduler/scheduler_config.json', 'model_index.json', 'tokenizer/vocab.json'];
for (const file of files) {
  test(`a folder, a pipe, a link to nothing and a file without permission as ${file} are told apart`, async (t) => {
    const folder = copyOfBase(t);
    const path = join(folder, file);
    const bytes = readFileSync(path);
    const saidAfter = async (make: () => void): Promise<string> => {
      rmSync(path, { recursive: true, force: true });
      make();
      const said = await message(folder);
      assert.ok(said.includes(file), said);
      return said;
    };
    assert.match(await saidAfter(() => mkdirSync(path)), /is a folder; a file is needed/);
    assert.match(await saidAfter(() => execFileSync('mkfifo', [path])), /is a pipe, a socket or a device/);
    if (file !== 'tokenizer/vocab.json')
      assert.match(await saidAfter(() => symlinkSync('../nowhere', path)), /is a link to a file that does not exist/);
    if (process.getuid?.() === 0) return t.diagnostic('SKIPPED: a file without permission, because root may read all');
    const denied = (): void => {
      writeFileSync(path, bytes);
      chmodSync(path, 0);
    };
    assert.match(await saidAfter(denied), /cannot be read by this user/);
  });
}

test('NaN and infinities as Python writes them are read where they stand as values, and stay text inside of strings', async (t) => {
  const folder = copyOfBase(t);
  const path = join(folder, 'vae/config.json');
  const json = readFileSync(path, 'utf8').trim();
  writeFileSync(path, json.replace(/\}$/, ', "shift_factor": [NaN, -Infinity], "_note": "a \\"NaN: Infinity, b"}'));
  assert.ok((await openKnown(folder)).networks.vae.config.latent_channels > 0);
  writeFileSync(path, json.replace(/\}$/, ', "scaling_factor": NaN}'));
  assert.match(await message(folder), /"scaling_factor" is "NaN"/);
});
