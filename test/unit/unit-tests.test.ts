/** `npm run test:unit` takes the files that start nothing, and fails one that does; `npm test -- FILE` takes that file only. */
import assert from 'node:assert/strict';
import { spawnSync, type SpawnSyncReturns } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { testFiles } from './unit-tests.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = await mkdtemp(join(tmpdir(), 'text2img-unit-'));
after(() => rm(folder, { recursive: true, force: true }));

function runTests(...args: readonly string[]): SpawnSyncReturns<string> {
  return spawnSync(process.execPath, ['scripts/run-tests.ts', ...args, '--test-reporter=tap'], {
    cwd: root,
    encoding: 'utf8',
  });
}

async function fixture(name: string, text: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, `import { test } from 'node:test';\n${text}`);
  return path;
}

test('a file is a unit test by what it imports, through helpers too', () => {
  const files = testFiles();
  assert.equal(files.get('test/lib/nearest-name.test.ts'), undefined);
  assert.equal(
    files.get('test/worker/batches.test.ts'),
    'test/engine/instant-engine.ts imports src/engine/engine-host.ts, which starts an engine',
  );
  assert.match(files.get('test/pipelines/stable-diffusion/golden.test.ts') ?? '', /which loads/);
  assert.match(
    files.get('test/queue/mongo/mongo-prompt-queue.test.ts') ?? '',
    /node:child_process, which starts processes$/,
  );
  assert.ok([...files.values()].filter((why) => why === undefined).length > 50);
});

test('a unit test that starts a process, listens, connects or loads ONNX Runtime fails with a sentence', async () => {
  const onnxRuntime = pathToFileURL(join(root, 'node_modules/onnxruntime-node/dist/index.js')).href;
  const starters = {
    process: `import('node:' + 'child_process').then(({ spawn }) => spawn('true'))`,
    server: `import('node:' + 'http').then(({ createServer }) => createServer().listen(0))`,
    connection: `fetch('http://127.0.0.1:49151/').catch((error) => { throw error.cause; })`,
    thread: `import('node:' + 'worker_threads').then(({ Worker }) => new Worker('1', { eval: true }))`,
    model: `import('${onnxRuntime}')`,
  };
  const tests = Object.entries(starters).map(([name, start]) => `test('${name}', () => ${start});`);
  const { status, stdout } = runTests('--unit', await fixture('outside.test.ts', tests.join('\n')));
  assert.equal(status, 1);
  const sentences =
    stdout.match(/a unit test (?:starts a process|listens|connects|starts a thread|loads ONNX Runtime)/g) ?? [];
  assert.deepEqual(
    [...new Set(sentences)].toSorted(),
    ['connects', 'listens', 'loads ONNX Runtime', 'starts a process', 'starts a thread'].map(
      (what) => `a unit test ${what}`,
    ),
  );
});

test('a file or folder that is named is run alone, with the options of the test runner', async () => {
  const path = await fixture('two.test.ts', `test('one', () => {});\ntest('two', () => {});`);
  const one = runTests(path, '--test-name-pattern=one');
  assert.equal(one.status, 0, one.stdout);
  assert.match(one.stdout, /^# tests 1$/m);
  const { scripts } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>;
  };
  assert.equal(scripts['test'], 'node scripts/run-tests.ts');
});

test('unit tests and the others are two halves', async () => {
  const unit = await fixture('half-unit.test.ts', `test('of units', () => {});`);
  const other = await fixture('half-other.test.ts', `import 'node:child_process';\ntest('of others', () => {});`);
  const ranBy = (option: string): readonly string[] =>
    Array.from(runTests(option, unit, other).stdout.matchAll(/^ok \d+ - (.*)$/gm), ([, name = '']) => name);
  assert.deepEqual([ranBy('--unit'), ranBy('--integration')], [['of units'], ['of others']]);
  const { status, stderr } = runTests('--unit', '--integration', unit);
  assert.deepEqual([status, stderr.includes('--unit and --integration together leave no test.')], [2, true]);
});

test('a name without a test file is refused', () => {
  const { status, stderr } = runTests('test/no-such.test.ts');
  assert.equal(status, 2);
  assert.match(stderr, /there is no test file at "test\/no-such\.test\.ts"/);
});
