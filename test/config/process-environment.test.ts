/** The environment is read in one place and handed down; two libraries that read it by themselves are told at their doors. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';

const source = fileURLToPath(new URL('../../src', import.meta.url));

/** Comments may speak of it. */
function codeOf(file: string): string {
  return readFileSync(join(source, file), 'utf8')
    .replaceAll(/\/\*[^]*?\*\//g, '')
    .replaceAll(/^\s*\/\/.*$/gm, '');
}

test('process.env is read by the entry and in the engine child, and written only for ONNX Runtime and for Google’s client', () => {
  const files = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
  assert.ok(files.length > 100);
  const touching = files.filter((file) =>
    /process\s*(?:\?\.|\.|\[')\s*env\b|\benv\b[^;]*from 'node:process'/.test(codeOf(file)),
  );
  assert.deepEqual(touching.map((file) => file.replaceAll('\\', '/')).toSorted(), [
    'cli/entry.ts',
    // In the engine child, which hands its own environment, chosen by the parent, to the child that tries a device.
    'runtime/onnxruntime/devices.ts',
    'runtime/onnxruntime/no-telemetry.ts',
    'storage/gcs/google-variables.ts',
  ]);
});
