/** Text chunks are found in a PNG that comes in pieces of any length, and nothing else is kept. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { encodePng } from '../../src/image/encode-png.ts';
import { readPngChunks, writePng } from '../../src/image/png-chunks.ts';
import { encodeTextChunk, findText } from '../../src/image/png-text.ts';
import { PngTextScan } from '../../src/image/png-text-scan.ts';

function scan(png: Uint8Array, lengthOf: () => number): PngTextScan {
  const found = new PngTextScan();
  for (let at = 0; at < png.length; ) {
    const length = lengthOf();
    found.push(png.subarray(at, at + length));
    at += length;
  }
  return found;
}

test('the texts are those that the reader of whole files finds, however the file is cut', async () => {
  const parameters = { prompt: 'a fox', seed: 7, widthPx: 8, heightPx: 8, modelName: 'x', modelHash: null };
  const encoded = await encodePng({ rgb: new Uint8Array(192), widthPx: 8, heightPx: 8, parameters });
  const [header, ...rest] = readPngChunks(encoded);
  assert.ok(header !== undefined);
  const late = writePng([
    header,
    { type: 'IDAT', data: randomBytes(10_000) },
    encodeTextChunk('first', 'ä'.repeat(3000)),
    { type: 'IDAT', data: randomBytes(1) },
    encodeTextChunk('parameters', 'behind the pixels: 狐'),
    { type: 'IEND', data: new Uint8Array() },
  ]);
  assert.ok(rest.length > 0);
  for (const png of [encoded, late])
    for (const length of [1, 2, 7, 64, 4096, png.length]) {
      const { chunks } = scan(png, () => length);
      const whole = readPngChunks(png);
      for (const keyword of ['parameters', 'first', 'none'])
        assert.equal(findText(chunks, keyword), findText(whole, keyword), `${keyword} in pieces of ${length}`);
    }
});

test('what is no PNG, or one that is cut off, has the texts that came whole and nothing that throws', () => {
  for (const bytes of [new Uint8Array(0), randomBytes(5), randomBytes(5000), Buffer.alloc(5000, 0xff)])
    assert.ok(Array.isArray(scan(bytes, () => 100).chunks));
  const png = writePng([encodeTextChunk('parameters', 'x'.repeat(100)), { type: 'IEND', data: new Uint8Array() }]);
  assert.deepEqual(scan(png.subarray(0, 60), () => 10).chunks, []);
});

test('texts that are larger than a prompt can be are passed over', () => {
  const png = writePng([
    encodeTextChunk('large', 'x'.repeat(3_000_000)),
    encodeTextChunk('parameters', 'kept'),
    { type: 'IEND', data: new Uint8Array() },
  ]);
  const { chunks } = scan(png, () => 64 * 1024);
  assert.deepEqual([findText(chunks, 'large'), findText(chunks, 'parameters')], [undefined, 'kept']);
});
