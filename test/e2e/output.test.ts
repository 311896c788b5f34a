/** `generate --output` and `--from` as their users type them. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { encodeTextChunk } from '../../src/image/png-text.ts';
import { readPngChunks, writePng } from '../../src/image/png-chunks.ts';
import { readGenerationParameters } from '../../src/image/read-parameters.ts';
import { runCli, temporaryFolder } from './run-cli.ts';

const SMALL = ['--width', '64', '--height', '64', '--num-inference-steps', '1', '--seed', '3'];

test('--output - writes the PNG and nothing else to standard output', async () => {
  const folder = temporaryFolder();
  const file = join(folder, 'x.png');
  const shell = await runCli({
    args: ['generate', '--prompt', 'a', ...SMALL, '--output', '-'],
    cwd: folder,
    encoding: 'latin1',
  });
  assert.equal(shell.code, 0, shell.stderr);
  writeFileSync(file, Buffer.from(shell.stdout, 'latin1'));
  assert.equal(readGenerationParameters(readFileSync(file)).seed, 3);
  assert.match(shell.stderr, /standard output {2}\(seed 3\)/);
  assert.deepEqual(readdirSync(folder), ['x.png']);
});

test('--output with a slash at its end is a folder that is made, also for a model that cannot be had', async () => {
  const folder = temporaryFolder();
  const drawn = await runCli({ args: ['generate', '--prompt', 'a', ...SMALL, '--output', 'new/deep/'], cwd: folder });
  assert.equal(drawn.code, 0, drawn.stderr);
  assert.deepEqual(readdirSync(join(folder, 'new', 'deep')), ['text2img-3.png']);
  const missing = await runCli({
    args: ['generate', '--prompt', 'a', '--model', 'none', '--output', 'no/x.png'],
    cwd: folder,
  });
  assert.match(missing.stderr, /\[not_found\]/, 'the output is looked at first');
  assert.ok(!existsSync(join(folder, 'no')));
});

test('--from says in one line what it does not draw', async () => {
  const folder = temporaryFolder();
  const made = await runCli({ args: ['generate', '--prompt', 'a', ...SMALL, '--output', 'x.png'], cwd: folder });
  assert.equal(made.code, 0, made.stderr);
  const [header, , ...others] = readPngChunks(readFileSync(join(folder, 'x.png')));
  assert.ok(header !== undefined);
  const odd = Array.from({ length: 3000 }, (_, index) => `Extension ${index}: ${'y'.repeat(200)}`).join(', ');
  const text = `a fox\r\nSteps: 1, Sampler: Euler a, Schedule type: Exponential, CFG scale: 2, Seed: 9, Size: 64x64, Variation seed: 4, ${odd}\r\n`;
  const chunks = [header, encodeTextChunk('parameters', text), ...others, { type: 'IEND', data: new Uint8Array() }];
  writeFileSync(join(folder, 'theirs.png'), writePng(chunks));
  const again = await runCli({ args: ['generate', '--from', 'theirs.png', '--output', 'y.png'], cwd: folder });
  assert.equal(again.code, 0, again.stderr);
  const warnings = again.stderr.split('\n').filter((line) => /not drawn here/.test(line));
  assert.equal(warnings.length, 1);
  assert.match(warnings[0] ?? '', /Schedule type: Exponential, Variation seed: 4, .*more/);
  assert.ok((warnings[0] ?? '').length < 1200);
  const { prompt, seed, numInferenceSteps } = readGenerationParameters(readFileSync(join(folder, 'y.png')));
  assert.deepEqual({ prompt, seed, numInferenceSteps }, { prompt: 'a fox', seed: 9, numInferenceSteps: 1 });
});
