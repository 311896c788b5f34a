/** PNG files: right pixels, right chunks, the same bytes every time, and readable by other libraries. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { inflateSync } from 'node:zlib';
import { decode } from 'fast-png';
import fc from 'fast-check';
import { encodePng } from '../../src/image/encode-png.ts';
import type { GenerationParameters } from '../../src/image/parameters-text.ts';
import { readPngChunks } from '../../src/image/png-chunks.ts';
import { readGenerationParameters } from '../../src/image/read-parameters.ts';

const parameters: GenerationParameters = {
  prompt: 'a red circle',
  negativePrompt: 'blurry',
  numInferenceSteps: 20,
  scheduler: 'ddim',
  guidanceScale: 7.5,
  seed: 4294967296,
  widthPx: 24,
  heightPx: 16,
  modelName: 'demo',
  modelHash: 'abcdef0123',
};

/** Smooth with noise, so that every branch of the filter is taken. */
function picture(widthPx: number, heightPx: number): Uint8Array {
  return Uint8Array.from(
    { length: widthPx * heightPx * 3 },
    (_, index) => (index * 7 + ((index * 2654435761) >>> 24)) & 255,
  );
}

test('another library decodes the same pixels', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 40 }), async (widthPx, heightPx) => {
      const rgb = picture(widthPx, heightPx);
      const decoded = decode(await encodePng({ rgb, widthPx, heightPx }), { checkCrc: true });
      assert.deepEqual([decoded.width, decoded.height, decoded.channels, decoded.depth], [widthPx, heightPx, 3, 8]);
      assert.deepEqual(Buffer.from(decoded.data as Uint8Array), Buffer.from(rgb));
    }),
    { numRuns: 30 },
  );
});

test('the same input gives the same bytes', async () => {
  const input = { rgb: picture(24, 16), widthPx: 24, heightPx: 16, parameters };
  assert.deepEqual(await encodePng(input), await encodePng(input));
});

test('the rows keep the bytes of version 0.2.0, so that the same image is the same file', async () => {
  const png = await encodePng({ rgb: picture(97, 61), widthPx: 97, heightPx: 61 });
  const pixels = readPngChunks(png).find(({ type }) => type === 'IDAT')?.data ?? new Uint8Array();
  // The hash of the same rows by `src/image/encode-png.ts` at commit 38c396f.
  assert.equal(
    createHash('sha256').update(inflateSync(pixels)).digest('hex'),
    '7c847aa82529fff4ebd79250ff3b89586e8020f5e09bfe93a82f085dba02b347',
  );
});

test('the parameters lie in tEXt when Latin-1 suffices, in iTXt when it does not, before the pixels', async () => {
  const types = async (prompt: string): Promise<string[]> => {
    const png = await encodePng({
      rgb: picture(24, 16),
      widthPx: 24,
      heightPx: 16,
      parameters: { ...parameters, prompt },
    });
    return readPngChunks(png).map(({ type }) => type);
  };
  assert.deepEqual(await types('ein grüner Käfer'), ['IHDR', 'tEXt', 'IDAT']);
  assert.deepEqual(await types('a 🦊 in the snow'), ['IHDR', 'iTXt', 'IDAT']);
  assert.deepEqual(await types('a control \u0085 character'), ['IHDR', 'iTXt', 'IDAT']);
});

test('prompts survive the file', async () => {
  for (const prompt of [
    '',
    'ein grüner Käfer',
    '雪の中の🦊',
    'a\nNegative prompt: b\nSteps: 1, Sampler: x, Seed: 2',
    'nul \0 and \ud800',
    'x'.repeat(1_000_000),
  ]) {
    const png = await encodePng({
      rgb: picture(24, 16),
      widthPx: 24,
      heightPx: 16,
      parameters: { ...parameters, prompt },
    });
    assert.deepEqual(readGenerationParameters(png), { ...parameters, prompt });
  }
});

test('a PNG that is damaged, cut off, no PNG or without parameters is refused with a sentence', async () => {
  const png = await encodePng({ rgb: picture(24, 16), widthPx: 24, heightPx: 16 });
  const damaged = Uint8Array.from(png);
  damaged[20] = 99;
  for (const [bytes, message] of [
    [damaged, /"IHDR"/],
    [png.subarray(0, 60), /cut off/],
    [new Uint8Array(3), /not a PNG/],
    [png, /no generation parameters/],
  ] as const) {
    assert.throws(() => readGenerationParameters(bytes), { code: 'unreadable_file', message });
  }
});

test('pixels that do not fit the size are a bug and throw', async () => {
  await assert.rejects(encodePng({ rgb: new Uint8Array(5), widthPx: 2, heightPx: 1 }), RangeError);
});

const python = process.env['TEXT2IMG_TEST_PYTHON'] ?? '/opt/ref/venv/bin/python';
const skip = existsSync(python)
  ? false
  : `NOT CHECKED: that Pillow reads our text chunks (no Python with Pillow at ${python}; set TEXT2IMG_TEST_PYTHON)`;
test('Pillow reads pixels and parameters', { skip }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'text2img-png-'));
  try {
    for (const prompt of ['ein grüner Käfer', 'a 🦊\nin the snow']) {
      const file = join(folder, 'x.png');
      const rgb = picture(24, 16);
      writeFileSync(file, await encodePng({ rgb, widthPx: 24, heightPx: 16, parameters: { ...parameters, prompt } }));
      const script =
        'import sys,json;from PIL import Image;i=Image.open(sys.argv[1]);i.load();print(json.dumps([i.mode,i.size,i.text["parameters"],i.tobytes().hex()]))';
      const [mode, size, text, hex] = JSON.parse(execFileSync(python, ['-c', script, file], { encoding: 'utf8' })) as [
        string,
        number[],
        string,
        string,
      ];
      assert.deepEqual([mode, size], ['RGB', [24, 16]]);
      assert.ok(
        text.startsWith(
          `${prompt}\nNegative prompt: blurry\nSteps: 20, Sampler: DDIM, CFG scale: 7.5, Seed: 4294967296, Size: 24x16, `,
        ),
      );
      assert.equal(hex, Buffer.from(rgb).toString('hex'));
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});
