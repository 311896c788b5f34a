/** OpenVINO without the optional package koffi: exit 5, with the command that brings it; ONNX Runtime goes on. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { root, runCli } from '../../e2e/run-cli.ts';
import { withoutKoffi } from '../without-koffi.ts';
import { LIBRARY_FOLDER, NO_OPENVINO } from './installed-libraries.ts';

test('without koffi OpenVINO is refused with the command that brings it; auto generates', {
  skip: NO_OPENVINO,
}, async (t) => {
  const place = await mkdtemp(join(tmpdir(), 'text2img-no-koffi-'));
  t.after(() => rm(place, { recursive: true, force: true }));
  const environment = {
    ...(await withoutKoffi(place)),
    XDG_DATA_HOME: dirname(dirname(LIBRARY_FOLDER)),
  };
  const generate = (runtime: string) => {
    const request = ['a circle', '--width', '64', '--height', '64', '--num-inference-steps', '1', '--seed', '1'];
    const machine = ['--model', join(root, 'models', 'demo'), '--device', 'cpu', '--compile-cache', 'off'];
    const output = join(place, `${runtime}.png`);
    return runCli({
      args: ['generate', ...request, ...machine, '--runtime', runtime, '--output', output],
      environment,
    });
  };
  const { code, stderr } = await generate('openvino');
  assert.equal(code, 5, stderr);
  assert.match(
    stderr,
    /OpenVINO cannot be used: koffi cannot be loaded: .*Run "npm install koffi".*runtime_unavailable/s,
  );
  assert.equal((await generate('auto')).code, 0);
});
