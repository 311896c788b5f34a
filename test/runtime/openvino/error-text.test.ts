/** What OpenVINO says, without the places in its own source. The messages are those that OpenVINO 2026.4.1 gave. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { errorText } from '../../../src/runtime/openvino/error-text.ts';

test('the places in OpenVINO’s source are left out, and the lines become one', () => {
  const message = `Exception from src/inference/src/cpp/core.cpp:105:
Exception from src/inference/src/model_reader.cpp:188:
Unable to read the model. Please check if the model format is supported and model is correct.

`;
  assert.equal(
    errorText(message),
    'Unable to read the model. Please check if the model format is supported and model is correct.',
  );
});

test('a message without anything but places is empty', () => {
  assert.equal(errorText("Exception from src/core.cpp:1:\nCheck 'a == b' failed at src/x.cpp:12:\n"), '');
  assert.equal(errorText(''), '');
});

test('a message of many lines is read to a bound', () => {
  assert.ok(errorText('line\n'.repeat(1e6)).length < 1000);
});
