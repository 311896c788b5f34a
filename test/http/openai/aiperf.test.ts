/** The profile of images of NVIDIA's aiperf (PyPI, 0.13.0) runs against the server unchanged: it probes, sends its requests, and counts no error. */
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Metrics } from '../../../src/observability/metrics.ts';
import { serve } from '../served.ts';

const python = process.env['TEXT2IMG_TEST_PYTHON'] ?? 'python3';
const hasAiperf = spawnSync(python, ['-c', 'import aiperf']).status === 0;
const skip = hasAiperf
  ? false
  : `NOT RUN: the Python at ${python} has no aiperf; set TEXT2IMG_TEST_PYTHON. That its profile of images runs against the server was not tested.`;

const TOKENIZER = fileURLToPath(new URL('../../../models/demo/tokenizer', import.meta.url));
const PROGRAM = 'import sys; from aiperf.cli import app; sys.exit(app())';
const REQUESTS = 4;

for (const [name, more] of [
  ['whole answers', []],
  ['streams', ['--streaming']],
] as const)
  test(`aiperf measures ${name} and counts no error`, { skip, timeout: 600_000 }, async (t) => {
    const served = await serve(t, { server: { metrics: new Metrics() } });
    const artifacts = join(served.folder, 'aiperf');
    const args = ['profile', '--endpoint-type', 'image_generation', '--url', served.url, '--model', 'instant'];
    const bounds = ['--request-count', String(REQUESTS), '--tokenizer', TOKENIZER, '--artifact-dir', artifacts];
    await promisify(execFile)(python, ['-c', PROGRAM, ...args, ...bounds, '--ui-type', 'none', ...more], {
      cwd: served.folder,
      maxBuffer: 2 ** 24,
    });
    const found = JSON.parse(readFileSync(join(artifacts, 'profile_export_aiperf.json'), 'utf8')) as Readonly<
      Record<string, { readonly avg?: number } | undefined>
    >;
    assert.equal(found['request_count']?.avg, REQUESTS);
    assert.equal(found['error_request_count']?.avg ?? 0, 0);
    assert.equal((await served.queue.counts()).completed, REQUESTS);
  });
