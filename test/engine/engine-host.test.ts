/** The engine host with a real child process that speaks the real protocol (`instant-engine-child.ts`). */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { EngineHost, type EngineHostOptions } from '../../src/engine/engine-host.ts';
import type { EngineJob, EngineProgress, JobResult } from '../../src/engine/engine-job.ts';
import { WatchedJobs } from '../../src/engine/watched-jobs.ts';
import type { ErrorCode } from '../../src/errors/error-codes.ts';
import { Text2ImgError } from '../../src/errors/text2img-error.ts';
import type { ResolvedGenerationRequest } from '../../src/job/generation-request.ts';
import { type LogFields, silentLogger } from '../../src/observability/logger.ts';
import { makeAilment } from './instant-engine.ts';
import { cpuSettings } from './cpu-settings.ts';
import { aRequest } from '../job/a-request.ts';

const childPath = fileURLToPath(new URL('instant-engine-child.ts', import.meta.url));

const SETTINGS = cpuSettings('/model');

function startHost(t: TestContext, options: Partial<EngineHostOptions> = {}): EngineHost {
  const host = new EngineHost({ settings: SETTINGS, logger: silentLogger, childPath, respawnMs: 1, ...options });
  t.after(() => host.stop());
  return host;
}

function request(prompt: string, changes: Partial<ResolvedGenerationRequest> = {}): ResolvedGenerationRequest {
  return aRequest({ prompt, seed: 5, numInferenceSteps: 3, widthPx: 16, heightPx: 8, ...changes });
}

function job(jobId: string, changes: Partial<ResolvedGenerationRequest> = {}): EngineJob {
  return { jobId, request: request(changes.prompt ?? jobId, changes), images: [] };
}

function failsWith(code: ErrorCode, pattern: RegExp = /./): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof Text2ImgError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, pattern);
    return true;
  };
}

test('a job gives its pictures in order, and every step is told', async (t) => {
  const host = startHost(t);
  assert.equal((await host.start()).modelName, 'instant');
  const told: EngineProgress[] = [];
  const [generating] = host.generate([job('a', { numImages: 2 })], {
    onProgress: (_, progress) => told.push(progress),
  });
  const result = await generating;
  assert.deepEqual(
    result.images.map(({ imageIndex, seed }) => [imageIndex, seed]),
    [
      [0, 5],
      [1, 6],
    ],
  );
  assert.deepEqual(
    told.map(({ step }) => step),
    [0, 1, 2, 3, 4, 5, 6],
  );
});

test('starting twice at once shares one child, and stopping twice is allowed', async (t) => {
  const host = startHost(t);
  const [first, second] = await Promise.all([host.start(), host.start()]);
  assert.equal(first, second);
  await Promise.all([host.stop(), host.stop()]);
  await assert.rejects(host.start(), failsWith('engine_unavailable'));
});

test('a checkpoint that cannot be loaded is told with its own code', async (t) => {
  const host = startHost(t, { settings: { ...SETTINGS, checkpointFolder: '/missing' } });
  await assert.rejects(host.start(), failsWith('model_not_found', /\/missing/));
});

test('cancelling takes effect at the next step and leaves the other job alone', async (t) => {
  const host = startHost(t);
  await host.start();
  let lastStep = 0;
  const [a, b] = host.generate([job('a', { prompt: '[slow 5]', numInferenceSteps: 10_000 }), job('b')], {
    onProgress: (jobId, { step }) => {
      if (jobId === 'a') lastStep = step;
      if (jobId === 'a' && step === 2) host.cancel('a');
    },
  });
  await assert.rejects(a, failsWith('cancelled'));
  assert.ok(lastStep < 100, `it went on to step ${lastStep}`);
  assert.equal((await b).images.length, 1);
});

test('a job that fails does not touch its neighbours', async (t) => {
  const host = startHost(t);
  await host.start();
  const [a, b] = host.generate([job('a', { prompt: '[fail]' }), job('b')]);
  await assert.rejects(a, failsWith('inference_failed'));
  await b;
});

for (const [prompt, code, pattern] of [
  ['[crash]', 'engine_crashed', /SIGABRT/],
  ['[exit 3]', 'engine_crashed', /exit code 3/],
  ['[kill]', 'engine_crashed', /SIGKILL/],
  ['[no memory]', 'engine_out_of_memory', /exit code 134: it ran out of memory/],
  ['[garbage]', 'engine_crashed', /not of the protocol/],
] as const) {
  test(`a child that dies of ${prompt} is reported with the reason and replaced, and the next job is drawn`, async (t) => {
    const told: LogFields[] = [];
    const host = startHost(t, { logger: { ...silentLogger, error: (_, fields) => void told.push(fields ?? {}) } });
    await host.start();
    const firstPid = host.pid;
    await assert.rejects(draw(host, 'a', prompt), failsWith(code, pattern));
    await draw(host, 'b');
    assert.notEqual(host.pid, firstPid);
    assert.equal((told[0]?.['error'] as Text2ImgError | undefined)?.code, code);
  });
}

test('a job can be tried again after a crash and succeeds', async (t) => {
  const host = startHost(t);
  await host.start();
  const flag = join(await mkdtemp(join(tmpdir(), 'text2img-engine-')), 'crashed');
  const prompt = `[crash once ${flag}]`;
  await assert.rejects(draw(host, 'a', prompt), failsWith('engine_crashed'));
  assert.equal((await draw(host, 'a', prompt)).images.length, 1);
});

test('an engine that shows no progress is ended as stalled', async (t) => {
  const host = startHost(t, { stallMs: 50 });
  await host.start();
  await assert.rejects(draw(host, 'a', '[hang]'), failsWith('engine_stalled', /no progress/));
  await draw(host, 'b');
});

function draw(host: EngineHost, jobId: string, prompt = jobId): Promise<JobResult> {
  return host.generate([job(jobId, { prompt })])[0];
}

test('however often the engine dies, it is started again', async (t) => {
  const host = startHost(t);
  await host.start();
  for (let death = 0; death < 12; death++) await assert.rejects(draw(host, `d${death}`, '[kill]'));
  await draw(host, 'last');
});

for (const [ailment, pattern] of [
  ['load fails', /model_not_found: there is no folder/],
  ['load dies', /SIGKILL/],
  ['load hangs', /not done with loading/],
] as const) {
  test(`after a model was loaded once, a start that ends so: "${ailment}", is no fault of the jobs or the model, and the next start heals it`, async (t) => {
    const { environment, set } = await makeAilment();
    const host = startHost(t, { environment, maxLoadMs: 4000 });
    await host.start();
    await set(ailment);
    await assert.rejects(draw(host, 'a', '[kill]'), failsWith('engine_crashed'));
    await assert.rejects(draw(host, 'b'), failsWith('engine_unavailable', pattern));
    await assert.rejects(draw(host, 'c'), failsWith('engine_unavailable', pattern));
    await set('');
    await draw(host, 'd');
  });
}

test('a first load that hangs is ended', async (t) => {
  const { environment, set } = await makeAilment();
  await set('load hangs');
  const host = startHost(t, { environment, maxLoadMs: 50 });
  await assert.rejects(host.start(), failsWith('engine_stalled', /not done with loading/));
});

test('a job that waits for a replacement is cancelled at once', async (t) => {
  const host = startHost(t, { respawnMs: 600_000 });
  await host.start();
  await assert.rejects(draw(host, 'a', '[kill]'));
  const waiting = draw(host, 'b');
  host.cancel('b');
  await assert.rejects(waiting, failsWith('cancelled'));
});

test('an engine that hangs in a step can be ended at once, and draws again after that', async (t) => {
  const host = startHost(t);
  await host.start();
  const hanging = draw(host, 'a', '[hang]');
  host.kill(new Text2ImgError('engine_unavailable', 'the grace period is over.'));
  await assert.rejects(hanging, failsWith('engine_unavailable', /grace period/));
  await draw(host, 'b');
});

test('a system that starts no process is told with a short sentence', async (t) => {
  const script = `
    import { EngineHost } from '${new URL('../../src/engine/engine-host.ts', import.meta.url).href}';
    import { silentLogger } from '${new URL('../../src/observability/logger.ts', import.meta.url).href}';
    import { openSync } from 'node:fs';
    const host = new EngineHost({ settings: ${JSON.stringify(SETTINGS)}, logger: silentLogger, childPath: '${childPath}' });
    try { for (;;) openSync('/dev/null'); } catch {}
    await host.start().catch((error) => console.log(error.code + ' ' + error.message));
  `;
  const child = spawn('sh', ['-c', 'ulimit -n 60; exec "$0" --input-type=module -e "$1"', process.execPath, script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  let said = '';
  for await (const chunk of child.stdout) said += chunk;
  assert.match(said, /^engine_unavailable the engine process cannot be started: too many files are open \(EMFILE\)/);
});

test('a child of another protocol version is refused', async (t) => {
  const host = startHost(t, { environment: { ...process.env, INSTANT_ENGINE_PROTOCOL: '999' } });
  await assert.rejects(host.start(), failsWith('engine_unavailable', /protocol 999/));
});

test('the child of a program that does not exist is an engine that cannot be started', async (t) => {
  const host = startHost(t, { childPath: '/nowhere/engine.ts' });
  await assert.rejects(host.start(), failsWith('engine_crashed', /exit code 1/));
});

test('stopping ends the jobs under way', async (t) => {
  const host = startHost(t);
  await host.start();
  const [a] = host.generate([job('a', { prompt: '[slow 20]', numInferenceSteps: 1000 })]);
  await host.stop();
  await assert.rejects(a, failsWith('engine_unavailable'));
});

test('previews come while a job is watched, at most one a second, and for no other job', async (t) => {
  const host = startHost(t);
  await host.start();
  const previewed: string[] = [];
  let steps = 0;
  const results = host.generate([job('a', { prompt: '[slow 2]', numInferenceSteps: 100 }), job('b')], {
    onProgress: (jobId) => jobId === 'a' && steps++,
    onPreview: (jobId, { widthPx }) => previewed.push(`${jobId} after ${steps > 1 ? 'a step' : 'none'}, ${widthPx} px`),
  });
  host.watch('a', true);
  host.watch('nobody', true);
  const beganMs = performance.now();
  await Promise.all(results);
  assert.equal(previewed[0], 'a after a step, 1 px');
  const seconds = Math.ceil((performance.now() - beganMs) / 1000);
  assert.ok(previewed.length <= seconds, `${previewed.length} previews in ${seconds} s`);
  assert.ok(previewed.every((preview) => preview.startsWith('a ')));
});

test('a job whose watching has ended sends no more previews', () => {
  let nowMs = 0;
  const jobs = new WatchedJobs(() => nowMs);
  assert.equal(jobs.isDue('a'), false);
  jobs.watch('a', true);
  assert.deepEqual([jobs.isDue('a'), jobs.isDue('a')], [true, false]);
  nowMs = 1000;
  jobs.watch('a', true);
  assert.equal(jobs.isDue('a'), true);
  nowMs = 2000;
  jobs.watch('a', false);
  assert.equal(jobs.isDue('a'), false);
});

test('previews that take long are rarer: all jobs together give them a fifth of the time at most', () => {
  let nowMs = 0;
  const jobs = new WatchedJobs(() => nowMs);
  jobs.watch('a', true);
  assert.equal(jobs.isDue('a'), true);
  nowMs = 800;
  jobs.made('a');
  nowMs = 3999;
  assert.equal(jobs.isDue('a'), false);
  nowMs = 4000;
  assert.equal(jobs.isDue('a'), true);
  const ids = ['a', 'b', 'c'];
  for (const id of ids) jobs.watch(id, true);
  const [beganMs, previewMs, stepMs] = [nowMs, 700, 100];
  const previews = new Map(ids.map((id) => [id, 0]));
  while (nowMs < beganMs + 1_000_000) {
    nowMs += stepMs;
    for (const id of ids) {
      if (!jobs.isDue(id)) continue;
      nowMs += previewMs;
      jobs.made(id);
      previews.set(id, (previews.get(id) ?? 0) + 1);
    }
  }
  const counts = [...previews.values()];
  const share = (counts.reduce((sum, count) => sum + count, 0) * previewMs) / (nowMs - beganMs);
  assert.ok(share < 0.205 && share > 0.1, `${share}`);
  assert.ok(Math.max(...counts) - Math.min(...counts) <= 1, `${counts.join()}`);
  jobs.made('nobody');
});

test('the remaining time is known from the second step on', async (t) => {
  const host = startHost(t);
  await host.start();
  const estimates: (number | undefined)[] = [];
  const [a] = host.generate([job('a', { prompt: '[slow 2]' })], {
    onProgress: () => estimates.push(host.remainingMs('a')),
  });
  await a;
  assert.equal(estimates[0], undefined);
  assert.ok((estimates[1] as number) > 0);
  assert.equal(estimates.at(-1), 0);
});
