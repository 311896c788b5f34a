/**
 * Places in `OrtApi`. `ort-api-1.30.json` has the names of the table in their order, out of `include/onnxruntime/core/session/onnxruntime_c_api.h` of
 * ONNX Runtime 1.30 (`ORT_API_VERSION 30`).
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { API_PLACES } from '../../../src/runtime/onnxruntime-c/api-places.ts';

const names = JSON.parse(readFileSync(new URL('ort-api-1.30.json', import.meta.url), 'utf8')) as string[];

test('each function is called at the place that the header has it at', () => {
  for (const [name, place] of Object.entries(API_PLACES)) assert.equal(names[place], name);
  assert.equal(new Set(names).size, names.length);
});
