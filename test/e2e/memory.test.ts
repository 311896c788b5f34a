/** A worker with a real limit on its memory: what does not fit fails alone, what fits in tiles is tiled, and the rest is generated as always. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { cleanEnvironment, type CliResult, launcher, root, runCli, temporaryFolder } from './run-cli.ts';

const folder = temporaryFolder();
const environment = { TEXT2IMG_DATA_DIR: join(folder, 'data'), TMPDIR: folder };
const skip = process.platform === 'linux' ? false : 'NOT TESTED: memory limits; only Linux tells what is free';

/** The engine has about 0.7 GB of data segments after it loaded the demo; `ulimit -d` counts them. */
const LIMIT_KB = 1_200_000;

/** @param limitKb of the data segments of each process */
function runLimited(limitKb: number, args: readonly string[]): Pick<CliResult, 'code' | 'stdout' | 'stderr'> {
  const script = `ulimit -d ${limitKb}; exec "$0" "$@"`;
  const { status, stdout, stderr } = spawnSync('sh', ['-c', script, process.execPath, launcher, ...args], {
    env: cleanEnvironment(environment),
    encoding: 'utf8',
  });
  return { code: status, stdout, stderr };
}

interface ShownJob {
  readonly status: string;
  readonly error?: string;
  readonly attempts?: number;
}

test('a document that does not fit into memory ends with both numbers and the size that would; its neighbours are generated', {
  skip,
}, async () => {
  const documents = [
    { _id: 'first', text: 'a red circle', width: 64, height: 64 },
    { _id: 'huge', text: 'a red circle', width: 4096, height: 4096 },
    { _id: 'tiled', text: 'a red circle', width: 1024, height: 1024, num_inference_steps: 1 },
    { _id: 'last', text: 'a red circle', width: 64, height: 64 },
  ];
  const more = ['--max-pixels', String(4096 * 4096)];
  const stdin = documents.map((document) => JSON.stringify(document)).join('\n');
  const added = await runCli({ args: ['enqueue', '-', ...more], stdin, environment });
  assert.equal(added.code, 0, added.stderr);
  const ran = runLimited(LIMIT_KB, ['run', '--num-inference-steps', '2', '--threads', '1', ...more]);
  assert.equal(ran.code, 0, ran.stderr);
  assert.doesNotMatch(ran.stderr, /engine process ended/);
  const show = async (id: string): Promise<ShownJob> =>
    JSON.parse((await runCli({ args: ['jobs', 'show', id, '--json'], environment })).stdout) as ShownJob;
  for (const id of ['first', 'last', 'tiled']) assert.equal((await show(id)).status, 'completed', id);
  const huge = await show('huge');
  assert.deepEqual([huge.status, huge.attempts], ['error', 1], JSON.stringify(huge));
  assert.match(
    huge.error ?? '',
    /^out_of_memory: an image of 4096×4096 pixels needs up to \d\.\d GB, and \d\.\d GB are free; (\d+)×\1 would fit\.$/,
  );
  assert.match(
    JSON.stringify(await show('tiled')),
    /Image 1 was decoded in tiles of 256×256 pixels, because it needs up to 1\.\d GB otherwise, and 0\.\d GB are free\./,
  );
});

test('doctor compares the need of the model with the limit', { skip }, () => {
  const { stdout } = runLimited(LIMIT_KB, ['doctor', '--model', join(root, 'models', 'demo')]);
  assert.match(
    stdout,
    /^✓ model memory +images of 256×256 on the CPU need up to 0\.\d GB, or \d+ MB with --low-memory on; \d\.\d GB are free$/m,
  );
});
