/** What is measured once for a machine and a network, and kept: by one process, also where another one was killed in the midst of it. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import {
  isOpenvinoFaster,
  type Measurement,
  measureOnce,
  type MeasuredTimes,
  readMeasurement,
  timesText,
} from '../../src/runtime/runtime-measurements.ts';

const TIMES: MeasuredTimes = {
  width: 512,
  height: 512,
  onnxruntime_ms: 4030,
  openvino_ms: 3930,
  openvino_bfloat16_ms: 2030,
  measured_at: '2026-11-26T04:00:00.000Z',
};

async function makeFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'text2img-measured-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

for (const [openvino, isFaster] of [
  [3664, false],
  [3663, true],
  [2000, true],
  [9000, false],
  [undefined, false],
] as const) {
  test(`OpenVINO is ${isFaster ? '' : 'not '}taken with ${openvino ?? 'no time'} against 4030 ms: it must be 10 % faster`, () => {
    const { openvino_ms: _, ...other } = TIMES;
    assert.equal(isOpenvinoFaster(openvino === undefined ? other : { ...other, openvino_ms: openvino }), isFaster);
  });
}

for (const [divisor, openvino, isFaster] of [
  [1, 3663, true],
  [2, 3663, false],
  [2, 3359, false],
  [2, 3358, true],
  [4, 3358, false],
  [4, 3100, true],
] as const) {
  test(`a size ${divisor} times smaller: OpenVINO is ${isFaster ? '' : 'not '}taken with ${openvino} against 4030 ms`, () => {
    assert.equal(isOpenvinoFaster({ ...TIMES, divisor, openvino_ms: openvino }), isFaster);
  });
}

test('the figures are told as a sentence, with the rule where the size is not the default one', () => {
  const figures = 'a pass at 512×512 takes 4030 ms on ONNX Runtime, 3930 ms on OpenVINO, 2030 ms there in bfloat16';
  assert.equal(timesText(TIMES), figures);
  assert.equal(timesText({ ...TIMES, divisor: 1 }), figures);
  assert.equal(timesText({ ...TIMES, divisor: 4 }), `${figures}; at this size OpenVINO must be 30 % faster`);
});

test('several processes that start at once measure once, and all get the same figures', async (t) => {
  const folder = await makeFolder(t);
  const path = join(folder, 'm.json');
  let measured = 0;
  const measure = async (): Promise<Pick<Measurement, 'times'>> => {
    measured++;
    return { times: TIMES };
  };
  const all = await Promise.all(Array.from({ length: 5 }, () => measureOnce(folder, path, measure)));
  assert.equal(measured, 1);
  for (const one of all) assert.deepEqual(one.times, TIMES);
  assert.deepEqual(await readdir(folder), ['m.json']);
});

test('a file that somebody else wrote, or half of one, is measured again', async (t) => {
  const folder = await makeFolder(t);
  const path = join(folder, 'm.json');
  const whole = JSON.stringify({ made_by: 'text2img', tries: 1, times: TIMES });
  for (const text of ['', '{}', whole.slice(0, 40), whole.replace('4030', '-4030')]) {
    await writeFile(path, text);
    assert.deepEqual((await measureOnce(folder, path, async () => ({ times: TIMES }))).times, TIMES, text);
  }
});

const DAY_MS = 24 * 3_600_000;

test('a measurement that fails is not repeated at each start, but at the first one a day later, as often as it fails', async (t) => {
  const folder = await makeFolder(t);
  const path = join(folder, 'm.json');
  const startMs = Date.parse('2026-11-26T04:00:00.000Z');
  for (let day = 0; day < 4; day++) {
    const nowMs = startMs + day * DAY_MS;
    const problem = `it failed on day ${day}`;
    assert.equal((await measureOnce(folder, path, async () => ({ problem }), nowMs)).problem, problem);
    const again = await measureOnce(folder, path, () => assert.fail('measured again'), nowMs + DAY_MS - 1);
    assert.equal(again.problem, problem);
  }
  const last = await measureOnce(folder, path, async () => ({ times: TIMES }), startMs + 4 * DAY_MS);
  assert.deepEqual([last.times, last.problem, last.failed_at], [TIMES, undefined, undefined]);
});

test('a problem that an older version kept for ever is measured again, and so is one of a clock that went back', async (t) => {
  const folder = await makeFolder(t);
  const path = join(folder, 'm.json');
  const old = { made_by: 'text2img', tries: 1, problem: 'it failed' };
  for (const record of [old, { ...old, failed_at: '2099-01-01T00:00:00.000Z' }]) {
    await writeFile(path, JSON.stringify(record));
    assert.deepEqual((await measureOnce(folder, path, async () => ({ times: TIMES }))).times, TIMES);
  }
});

test('a measurement that cannot be made now is made another time', async (t) => {
  const folder = await makeFolder(t);
  const path = join(folder, 'm.json');
  for (let start = 0; start < 3; start++)
    await assert.rejects(
      measureOnce(folder, path, () => Promise.reject(new Error('no memory'))),
      /no memory/,
    );
  assert.deepEqual((await measureOnce(folder, path, async () => ({ times: TIMES }))).times, TIMES);
});

test('a process that is killed while it measures leaves nothing broken; after two of them nobody measures any more', async (t) => {
  const folder = await makeFolder(t);
  const path = join(folder, 'm.json');
  const module = new URL('../../src/runtime/runtime-measurements.ts', import.meta.url).href;
  const script = `import { measureOnce } from ${JSON.stringify(module)};
await measureOnce(${JSON.stringify(folder)}, ${JSON.stringify(path)}, () => { console.log('begun'); setInterval(() => {}, 1000); return new Promise(() => {}); });`;
  const killInTheMidst = async (): Promise<void> => {
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    const ended = once(child, 'close');
    child.kill('SIGKILL');
    await ended;
  };
  await killInTheMidst();
  assert.equal((await readMeasurement(path))?.tries, 1);
  await killInTheMidst();
  const given = await measureOnce(folder, path, () => assert.fail('measured a third time'));
  assert.equal(given.times, undefined);
  await rm(path);
  assert.deepEqual((await measureOnce(folder, path, async () => ({ times: TIMES }))).times, TIMES);
  assert.match(await readFile(path, 'utf8'), /"onnxruntime_ms":4030/);
});

test('a folder that cannot be made is an error, and nothing is measured', async (t) => {
  const folder = await makeFolder(t);
  await writeFile(join(folder, 'file'), '');
  const below = join(folder, 'file', 'cache');
  await assert.rejects(measureOnce(below, join(below, 'm.json'), () => assert.fail('measured')));
});
