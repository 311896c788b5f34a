/**
 * The messages between the parent (queue, store, leases) and the engine child (the model). Sent over
 * `child_process.fork` with `serialization: 'advanced'`, so that pixels travel as bytes. Each message has a schema here and a snapshot test.
 */
import { z } from 'zod';
import { ERROR_CODES, type ErrorCode } from '../errors/error-codes.ts';
import { modelFactsSchema, modelHashSchema } from '../job/model-facts.ts';
import { REQUEST_FIELDS } from '../job/request-fields.ts';
import { PIPELINE_STAGES } from '../job/stages.ts';
import { foreignText, warningsSchema } from '../lib/foreign-schemas.ts';
import { requestSchemaOf } from './request-schema.ts';

/** Bumped whenever a message changes; the child sends it first and a mismatch ends it. */
export const PROTOCOL_VERSION = 11;

const errorCode = z.enum(Object.keys(ERROR_CODES) as [ErrorCode, ...ErrorCode[]]);
const errorSchema = z.object({ code: errorCode, message: foreignText, stack: foreignText.optional() });

const engineSettingsSchema = z.object({
  /** Absolute folder of the checkpoint, or its one file. */
  checkpointFolder: z.string(),
  /** The model's name in images and logs; null: the folder's or the file's name. */
  modelName: z.string().nullable(),
  /** `fp16`: prefer weight files of this variant; null: the plain ones. */
  variant: z.string().nullable(),
  /** The value that the denoising network predicts; absent: as the checkpoint says. */
  predictionType: z.enum(['epsilon', 'v_prediction', 'sample']).optional(),
  device: z.string(),
  dtype: z.enum(['auto', 'float32', 'float16', 'bfloat16']),
  /** Of the denoising network's linear layers; absent: float. */
  weights: z.enum(['float', 'int8']).optional(),
  /** Absent: auto. */
  runtime: z.enum(['auto', 'onnxruntime', 'onnxruntime-c', 'openvino']).optional(),
  /** Why this runtime, where another engine chose it. */
  runtimeReason: z.string().optional(),
  /** Of the networks' graphs; absent: auto, as the runtime chooses for the device. */
  graphForm: z.enum(['auto', 'portable']).optional(),
  /** Where `setup openvino` leaves its libraries; absent: nowhere. */
  openvinoFolder: z.string().optional(),
  /** Nothing that is measured decides about the pixels. */
  deterministic: z.boolean().optional(),
  /** 0: as many as the machine offers. */
  threads: z.number().int().nonnegative(),
  /** The logical processors that the engine keeps to, as `taskset -c` takes them; absent: all that it may use. */
  cpus: z
    .string()
    .regex(/^\d+(?:-\d+)?(?:,\d+(?:-\d+)?)*$/)
    .optional(),
  /** Engines that will share the memory that is free now, this one included; absent: this one alone. */
  sharers: z.number().int().positive().optional(),
  vaeTiling: z.boolean(),
  /** Whether one network at a time is in memory; auto: where all together do not fit. */
  lowMemory: z.enum(['auto', 'on', 'off']).default('auto'),
  /** The autoencoder's folder or file, and its name in images; absent: the checkpoint's own. */
  vae: z.object({ path: z.string(), name: z.string() }).optional(),
  /** The TAESD that decodes previews; absent: they are made without a network. */
  previewVae: z.object({ path: z.string(), name: z.string() }).optional(),
  /** Folder of the compile cache; null: off. */
  compileCacheFolder: z.string().nullable(),
  /** The most that its entries may have; absent: the cache's own choice. */
  compileCacheBytes: z.number().positive().optional(),
  verifyCache: z.enum(['changed', 'always', 'never']).default('changed'),
});
export type EngineSettings = z.infer<typeof engineSettingsSchema>;

/** Pixels, row by row, one byte a channel. */
const rawImageSchema = z
  .object({
    widthPx: z.number().int().positive(),
    heightPx: z.number().int().positive(),
    channels: z.union([z.literal(1), z.literal(3), z.literal(4)]),
    pixels: z.custom<Uint8Array>((value) => value instanceof Uint8Array),
  })
  .refine(({ widthPx, heightPx, channels, pixels }) => pixels.length === widthPx * heightPx * channels, {
    message: 'the pixels do not fill the image',
  });

/** Milliseconds. */
const durationsSchema = z.record(z.enum(PIPELINE_STAGES), z.number().nonnegative());

export const parentMessageSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('load'), protocolVersion: z.number(), settings: engineSettingsSchema }),
  /** Jobs of one message can share passes of the denoising network, as far as their fields and the family allow it. */
  z.object({
    type: z.literal('generate'),
    jobs: z
      .array(
        z.object({
          jobId: z.string(),
          request: requestSchemaOf(REQUEST_FIELDS),
          /** The images that the request begins with. A model that reads none refuses the job. */
          images: z.array(rawImageSchema),
        }),
      )
      .min(1),
    /** Fewer images per pass than the model's `maxBatchImages`, after it ran out of memory; absent: as many as that. */
    maxBatchImages: z.number().int().positive().optional(),
  }),
  /** From now on, or no longer, `preview` is sent for this job. */
  z.object({ type: z.literal('watch'), jobId: z.string(), on: z.boolean() }),
  /** Takes effect at the next step; answered by `job-failed` with code `cancelled`, unless the job has ended before. */
  z.object({ type: z.literal('cancel'), jobId: z.string() }),
  z.object({ type: z.literal('shutdown') }),
]);
export type ParentMessage = z.infer<typeof parentMessageSchema>;

export const childMessageSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('hello'), protocolVersion: z.number(), pid: z.number().int() }),
  z.object({ type: z.literal('ready'), facts: modelFactsSchema }),
  z.object({ type: z.literal('load-failed'), error: errorSchema }),
  /** After every step, also between the last step and the image: it shows that the engine is not stuck. */
  z.object({
    type: z.literal('progress'),
    jobId: z.string(),
    stage: z.enum(PIPELINE_STAGES),
    /** Of all the job's images together. */
    step: z.number().int().nonnegative(),
    steps: z.number().int().positive(),
    /** Calls of the denoising network, which take the time: a scheduler may need several for a step. */
    pass: z.number().int().nonnegative(),
    passes: z.number().int().nonnegative(),
  }),
  /** The image so far: small, at most one a second, and only for a job that is watched. */
  z.object({ type: z.literal('preview'), jobId: z.string(), image: rawImageSchema }),
  z.object({
    type: z.literal('image'),
    jobId: z.string(),
    imageIndex: z.number().int().nonnegative(),
    seed: z.number().int().nonnegative(),
    image: rawImageSchema,
  }),
  z.object({
    type: z.literal('job-done'),
    jobId: z.string(),
    warnings: warningsSchema,
    durationsMs: durationsSchema,
  }),
  /** The hash was not known when the model was loaded, and is now. */
  z.object({ type: z.literal('model-hash'), modelHash: modelHashSchema }),
  z.object({ type: z.literal('job-failed'), jobId: z.string(), error: errorSchema }),
]);
export type ChildMessage = z.infer<typeof childMessageSchema>;
