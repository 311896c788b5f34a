/** Defaults of the operator that the model cannot have: the worker says so at its start, and no document pays for it. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { root, runCli, temporaryFolder } from './run-cli.ts';

const demo = join(root, 'models', 'demo');

for (const [how, args, environment] of [
  ['as a flag', ['--deep-cache-branch', '9'], {}],
  ['as a variable', [], { TEXT2IMG_DEEP_CACHE_BRANCH: '9' }],
] as const)
  test(`a branch of feature caching beyond the model’s, given ${how}, ends the worker with 2 before it claims a document`, async () => {
    const places = { ...environment, TEXT2IMG_DATA_DIR: join(temporaryFolder(), 'data') };
    const document = { _id: 'a', text: 'a red circle', width: 64, height: 64, num_inference_steps: 1 };
    const added = await runCli({ args: ['enqueue', '-'], stdin: JSON.stringify(document), environment: places });
    assert.equal(added.code, 0, added.stderr);
    const ran = await runCli({ args: ['run', '--model', demo, '--deep-cache', '2', ...args], environment: places });
    assert.equal(ran.code, 2, ran.stderr);
    assert.match(
      ran.stderr,
      /--deep-cache-branch \(TEXT2IMG_DEEP_CACHE_BRANCH\) 9 is not allowed with the model "demo"; it must be a whole number from 0 to 8\./,
    );
    const { stdout } = await runCli({ args: ['jobs', 'show', 'a', '--json'], environment: places });
    const job = JSON.parse(stdout) as { status: string; attempts?: number };
    assert.deepEqual([job.status, job.attempts ?? 0], ['pending', 0]);
    const branch = { TEXT2IMG_DEEP_CACHE_BRANCH: '8' };
    const again = await runCli({
      args: ['run', '--model', demo, '--deep-cache', '2'],
      environment: { ...places, ...branch },
    });
    assert.equal(again.code, 0, again.stderr);
  });
