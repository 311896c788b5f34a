/** One example of every message: what both sides agree on. A change here needs a new PROTOCOL_VERSION. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type ChildMessage,
  childMessageSchema,
  type ParentMessage,
  PROTOCOL_VERSION,
  parentMessageSchema,
} from '../../src/engine/protocol.ts';
import { aRequest } from '../job/a-request.ts';

const FIELDS = {
  prompt: 'a fox',
  negativePrompt: '',
  seed: 7,
  numInferenceSteps: 20,
  guidanceScale: 7.5,
  widthPx: 512,
  heightPx: 512,
  numImages: 1,
  scheduler: 'DDIMScheduler',
};
const request = aRequest(FIELDS);

const image = { widthPx: 1, heightPx: 1, channels: 3, pixels: Uint8Array.of(1, 2, 3) } as const;

const PARENT: Record<ParentMessage['type'], ParentMessage> = {
  load: {
    type: 'load',
    protocolVersion: PROTOCOL_VERSION,
    settings: {
      checkpointFolder: '/m',
      modelName: null,
      variant: null,
      device: 'auto',
      dtype: 'auto',
      weights: 'int8',
      threads: 1,
      cpus: '0-3,8',
      sharers: 2,
      vaeTiling: false,
      lowMemory: 'off',
      previewVae: { path: '/taesd', name: 'taesd' },
      compileCacheFolder: null,
      verifyCache: 'changed',
    },
  },
  generate: { type: 'generate', jobs: [{ jobId: 'a', request, images: [image] }], maxBatchImages: 2 },
  watch: { type: 'watch', jobId: 'a', on: true },
  cancel: { type: 'cancel', jobId: 'a' },
  shutdown: { type: 'shutdown' },
};

const CHILD: Record<ChildMessage['type'], ChildMessage> = {
  hello: { type: 'hello', protocolVersion: PROTOCOL_VERSION, pid: 1 },
  ready: {
    type: 'ready',
    facts: {
      modelName: 'demo',
      modelHash: null,
      pipelineClass: 'StableDiffusionPipeline',
      fields: ['prompt', 'seed'],
      defaultWidthPx: 256,
      defaultHeightPx: 256,
      defaults: { scheduler: 'DDIMScheduler' },
      maxBatchImages: 1,
      device: 'cpu',
      deviceReason: 'cpu, float32 (asked for)',
      dtype: 'float32',
      weights: 'int8',
      form: 'fused',
      loadMs: 600,
      warnings: [],
    },
  },
  'load-failed': { type: 'load-failed', error: { code: 'model_not_found', message: 'there is no folder.' } },
  progress: { type: 'progress', jobId: 'a', stage: 'denoise', step: 3, steps: 20, pass: 5, passes: 39 },
  preview: { type: 'preview', jobId: 'a', image },
  image: { type: 'image', jobId: 'a', imageIndex: 0, seed: 7, image },
  'job-done': { type: 'job-done', jobId: 'a', warnings: ['cut'], durationsMs: { encode: 1, denoise: 20, decode: 3 } },
  'model-hash': { type: 'model-hash', modelHash: '6ce0161689' },
  'job-failed': { type: 'job-failed', jobId: 'a', error: { code: 'cancelled', message: 'the job was cancelled.' } },
};

/** Parent and child share the table of request fields, so that a field more is no change of the protocol. */
function withTheseFields(message: ParentMessage): object {
  if (message.type !== 'generate') return message;
  const jobs = message.jobs.map((job) => {
    const fields = Object.entries(job.request).filter(([name]) => Object.hasOwn(FIELDS, name));
    return { ...job, request: Object.fromEntries(fields) };
  });
  return { ...message, jobs };
}

for (const [type, message] of Object.entries(PARENT)) {
  test(`"${type}" to the child passes its schema unchanged and stays what it was`, (t) => {
    assert.deepEqual(parentMessageSchema.parse(message), message);
    t.assert.snapshot(withTheseFields(message));
  });
}

for (const [type, message] of Object.entries(CHILD)) {
  test(`"${type}" from the child passes its schema unchanged and stays what it was`, (t) => {
    assert.deepEqual(childMessageSchema.parse(message), message);
    t.assert.snapshot(message);
  });
}

test('a message with a field of another type is refused', () => {
  const { image: good } = CHILD.image as Extract<ChildMessage, { type: 'image' }>;
  for (const bad of [
    { ...good, widthPx: 2 },
    { ...good, channels: 2 },
    { ...good, pixels: [1, 2, 3] },
  ])
    assert.equal(childMessageSchema.safeParse({ ...CHILD.image, image: bad }).success, false);
  assert.equal(childMessageSchema.safeParse({ ...CHILD.progress, step: '3' }).success, false);
  assert.equal(
    childMessageSchema.safeParse({ ...CHILD['load-failed'], error: { code: 'made_up', message: '' } }).success,
    false,
  );
  assert.equal(parentMessageSchema.safeParse({ type: 'generate', jobs: [] }).success, false);
});

test('what the child quotes from strangers’ files is bounded, whatever it sends', () => {
  const long = 'x'.repeat(1e6);
  const { facts } = CHILD.ready as Extract<ChildMessage, { type: 'ready' }>;
  const MESSAGES: readonly ChildMessage[] = [
    {
      type: 'ready',
      facts: { ...facts, pipelineClass: long, deviceReason: long, warnings: Array.from({ length: 5000 }, () => long) },
    },
    { type: 'load-failed', error: { code: 'invalid_config', message: long, stack: long } },
    {
      ...(CHILD['job-done'] as Extract<ChildMessage, { type: 'job-done' }>),
      warnings: Array.from({ length: 5000 }, () => long),
    },
    { type: 'job-failed', jobId: 'a', error: { code: 'internal', message: long, stack: long } },
  ];
  for (const message of MESSAGES)
    assert.ok(JSON.stringify(childMessageSchema.parse(message)).length < 25_000, message.type);
});
