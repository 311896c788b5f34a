/**
 * An engine child that draws at once: it speaks the real protocol over the real channel, and its pixels are a function of the request, so that
 * tests of the parent, the worker and the queue need no model. What a prompt asks for in brackets it does: `[crash]`, `[exit 3]`, `[kill]`,
 * `[hang]`, `[fail]`, `[garbage]`, `[no memory]`, `[memory 2]` (no memory for more than two images at once); `[slow 200]` takes so many
 * milliseconds for each step; `[noise]` makes an image that cannot be compressed. `[crash once PATH]` crashes unless the file is there, and makes it;
 * `[once CODE PATH]` fails with this code in the same way; `[last words PATH]` writes the file's text to standard error and ends as a failed assertion
 * does; `[hash 0123456789]` says the model's hash after the job. What ails the machine stands in the file that `INSTANT_ENGINE_AILMENT` names, read anew
 * each time: `load fails`, `load dies`, `load hangs`, `load takes 500`, `draw dies`, `draw fails`, `gpu lost` while it draws, `no gpu` when it loads. The model of a
 * folder `instant/x` is called `x`.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type ChildMessage,
  type ParentMessage,
  PROTOCOL_VERSION,
  parentMessageSchema,
} from '../../src/engine/protocol.ts';
import { WatchedJobs } from '../../src/engine/watched-jobs.ts';
import type { ErrorCode } from '../../src/errors/error-codes.ts';
import { Text2ImgError } from '../../src/errors/text2img-error.ts';
import { REQUEST_FIELDS } from '../../src/job/request-fields.ts';
import type { ResolvedGenerationRequest } from '../../src/job/generation-request.ts';
import { runtimeError } from '../../src/runtime/onnxruntime/runtime-error.ts';
import { instantPixels } from './instant-pixels.ts';

const MAX_BATCH_IMAGES = 4;
const PREVIEW = { widthPx: 1, heightPx: 1, channels: 3, pixels: Uint8Array.of(1, 2, 3) } as const;
const cancelled = new Set<string>();
const watched = new WatchedJobs();
let work: Promise<void> = Promise.resolve();

function send(message: ChildMessage): void {
  if (process.connected) process.send?.(message, undefined, {}, () => undefined);
}

function order(prompt: string, name: string): string | undefined {
  return new RegExp(`\\[${name}(?: ([^\\]]*))?\\]`).exec(prompt)?.slice(0, 2).at(-1);
}

function has(prompt: string, name: string): boolean {
  return prompt.includes(`[${name}`);
}

function ailment(): string {
  const file = process.env['INSTANT_ENGINE_AILMENT'];
  return file !== undefined && existsSync(file) ? readFileSync(file, 'utf8') : '';
}

async function misbehave(prompt: string): Promise<void> {
  if (ailment() === 'draw dies') process.kill(process.pid, 'SIGKILL');
  if (ailment() === 'draw fails') throw new Text2ImgError('inference_failed', 'the device is lost.');
  if (ailment() === 'gpu lost') throw runtimeError('CUDA error: uncorrectable ECC error encountered');
  const words = order(prompt, 'last words');
  if (words !== undefined) {
    process.stderr.write(readFileSync(words, 'utf8'));
    process.abort();
  }
  const once = order(prompt, 'crash once');
  if (once !== undefined && once !== '' && !existsSync(once)) {
    writeFileSync(once, '');
    process.exit(1);
  }
  const [code, file] = order(prompt, 'once')?.split(' ') ?? [];
  if (code !== undefined && file !== undefined && !existsSync(file)) {
    writeFileSync(file, '');
    throw new Text2ImgError(code as ErrorCode, 'the prompt asked for this once.');
  }
  if (prompt.includes('[crash]')) process.abort();
  if (has(prompt, 'exit')) process.exit(Number(order(prompt, 'exit')));
  if (prompt.includes('[kill]')) process.kill(process.pid, 'SIGKILL');
  if (prompt.includes('[garbage]')) process.send?.({ type: 'surprise' });
  if (prompt.includes('[no memory]')) {
    process.stderr.write("terminate called after throwing an instance of 'std::bad_alloc'\n");
    process.exit(134);
  }
  if (prompt.includes('[hang]')) await new Promise(() => setInterval(() => undefined, 1000));
  if (prompt.includes('[fail]')) throw new Text2ImgError('inference_failed', 'the prompt asked for a failure.');
}

/** As the system ends a process that takes too much: during the batch, with all that was in it. */
function checkMemory({ jobs, maxBatchImages = MAX_BATCH_IMAGES }: Extract<ParentMessage, { type: 'generate' }>): void {
  const images = jobs.reduce((sum, { request }) => sum + request.numImages, 0);
  const room = Math.min(...jobs.map(({ request }) => Number(order(request.prompt, 'memory') ?? Infinity)));
  if (Math.min(images, maxBatchImages) <= room) return;
  process.stderr.write("terminate called after throwing an instance of 'std::bad_alloc'\n");
  process.exit(134);
}

async function draw(jobId: string, request: ResolvedGenerationRequest): Promise<void> {
  const steps = request.numInferenceSteps * request.numImages;
  const stepMs = Number(order(request.prompt, 'slow') ?? 0);
  const beganMs = performance.now();
  try {
    send({ type: 'progress', jobId, stage: 'encode', step: 0, steps, pass: 0, passes: steps });
    for (let step = 1; step <= steps; step++) {
      await (stepMs > 0 ? sleep(stepMs) : new Promise((resolve) => setImmediate(resolve)));
      if (cancelled.has(jobId)) throw new Text2ImgError('cancelled', 'the job was cancelled.');
      send({ type: 'progress', jobId, stage: 'denoise', step, steps, pass: step, passes: steps });
      if (watched.isDue(jobId)) send({ type: 'preview', jobId, image: PREVIEW });
      if (step === 1) await misbehave(request.prompt);
    }
    for (let imageIndex = 0; imageIndex < request.numImages; imageIndex++) {
      const { widthPx, heightPx, seed } = request;
      send({
        type: 'image',
        jobId,
        imageIndex,
        seed: seed + imageIndex,
        image: { widthPx, heightPx, channels: 3, pixels: instantPixels(request, imageIndex) },
      });
    }
    send({
      type: 'job-done',
      jobId,
      warnings: [],
      durationsMs: { encode: 0, denoise: performance.now() - beganMs, decode: 0 },
    });
    const modelHash = order(request.prompt, 'hash');
    if (modelHash !== undefined) send({ type: 'model-hash', modelHash });
  } catch (error) {
    send({ type: 'job-failed', jobId, error: Text2ImgError.from(error).toJSON() });
  }
}

/** Most tests have no folder at all. */
function canRead(folder: string): boolean {
  if (process.env['INSTANT_ENGINE_READS_FOLDER'] !== '1') return !folder.endsWith('missing');
  return existsSync(join(folder, 'model_index.json'));
}

async function load({ settings }: Extract<ParentMessage, { type: 'load' }>): Promise<void> {
  const takes = /^load takes (\d+)$/.exec(ailment())?.[1];
  if (takes !== undefined) await sleep(Number(takes));
  if (ailment() === 'load dies') process.kill(process.pid, 'SIGKILL');
  if (ailment() === 'load hangs') return;
  if (ailment() === 'no gpu') {
    const error = runtimeError('CUDA failure 100: no CUDA-capable device is detected ; GPU=0 ; hostname=x').toJSON();
    send({ type: 'load-failed', error });
    return process.disconnect?.();
  }
  if (!canRead(settings.checkpointFolder) || ailment() === 'load fails') {
    send({
      type: 'load-failed',
      error: { code: 'model_not_found', message: `there is no folder ${settings.checkpointFolder}.` },
    });
    return process.disconnect?.();
  }
  send({
    type: 'ready',
    facts: {
      modelName: /\/instant\/(.+)$/.exec(settings.checkpointFolder)?.[1] ?? 'instant',
      modelHash: null,
      pipelineClass: 'StableDiffusionPipeline',
      fields: Object.keys(REQUEST_FIELDS),
      defaultWidthPx: 16,
      defaultHeightPx: 8,
      defaults: { negativePrompt: '', scheduler: 'DDIMScheduler' },
      maxBatchImages: MAX_BATCH_IMAGES,
      device: 'cpu',
      deviceReason: 'a test',
      dtype: 'float32',
      loadMs: 0,
      warnings: [],
    },
  });
}

process.on('message', (raw) => {
  const message = parentMessageSchema.parse(raw);
  switch (message.type) {
    case 'load':
      return void load(message);
    case 'generate':
      checkMemory(message);
      for (const { jobId, request } of message.jobs) work = work.then(() => draw(jobId, request));
      return;
    case 'watch':
      return watched.watch(message.jobId, message.on);
    case 'cancel':
      cancelled.add(message.jobId);
      return;
    case 'shutdown':
      return process.disconnect?.();
  }
});
process.on('disconnect', () => process.exit());
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const) process.on(signal, () => undefined);
send({
  type: 'hello',
  protocolVersion: Number(process.env['INSTANT_ENGINE_PROTOCOL'] ?? PROTOCOL_VERSION),
  pid: process.pid,
});
