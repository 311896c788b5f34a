/** The folder and the locations of a graph's weights, on both kinds of paths. */
import assert from 'node:assert/strict';
import { posix, win32 } from 'node:path';
import { test } from 'node:test';
import { commonFolder, externalLocation } from '../../src/onnx/external-files.ts';
import { Text2ImgError } from '../../src/errors/text2img-error.ts';

const CASES = [
  { path: posix, files: [], folder: '' },
  { path: posix, files: ['/m/unet/a.safetensors'], folder: '/m/unet', locations: ['a.safetensors'] },
  {
    path: posix,
    files: ['/m/blobs/ab', '/m/blobs/cd/ef', '/m/x'],
    folder: '/m',
    locations: ['blobs/ab', 'blobs/cd/ef', 'x'],
  },
  { path: posix, files: ['/a/x', '/b/y'], folder: '/', locations: ['a/x', 'b/y'] },
  // A folder whose name begins like another one is not below it; a name may begin with two dots.
  { path: posix, files: ['/m/unet/a', '/m/unet2/b'], folder: '/m', locations: ['unet/a', 'unet2/b'] },
  { path: posix, files: ['/m/a', '/m/..b/c'], folder: '/m', locations: ['a', '..b/c'] },
  { path: posix, files: ['/m/a\\b/c', '/m/d'], folder: '/m', locations: ['a\\b/c', 'd'] },
  { path: win32, files: ['C:\\m\\unet\\a'], folder: 'C:\\m\\unet', locations: ['a'] },
  {
    path: win32,
    files: ['C:\\m\\blobs\\ab', 'c:\\M\\blobs\\cd\\ef', 'C:\\m\\x'],
    folder: 'C:\\m',
    locations: ['blobs/ab', 'blobs/cd/ef', 'x'],
  },
  { path: win32, files: ['C:\\a\\x', 'C:\\b\\y'], folder: 'C:\\', locations: ['a/x', 'b/y'] },
  {
    path: win32,
    files: ['\\\\host\\share\\a\\x', '\\\\host\\share\\b'],
    folder: '\\\\host\\share\\',
    locations: ['a/x', 'b'],
  },
];

for (const { path, files, folder, locations = [] } of CASES)
  test(`${JSON.stringify(files)} lie in ${JSON.stringify(folder)}, and their locations are written with "/"`, () => {
    assert.equal(commonFolder(files, path), folder);
    assert.deepEqual(
      files.map((file) => externalLocation(folder, file, path)),
      locations,
    );
    // What a runtime does with a location.
    for (const [index, file] of files.entries())
      assert.equal(path.relative(path.join(folder, locations[index] ?? ''), file), '');
  });

test('files on two drives have no common folder', () => {
  assert.throws(
    () => commonFolder(['C:\\m\\a', 'D:\\m\\b'], win32),
    (error) =>
      error instanceof Text2ImgError && error.code === 'unsupported_config' && /two drives/.test(error.message),
  );
});
