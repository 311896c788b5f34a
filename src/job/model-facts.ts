/** Facts about the model and the machine, from the engine: all that the parent needs to resolve a request. */
import { z } from 'zod';
import { foreignText, warningsSchema } from '../lib/foreign-schemas.ts';

/** First ten hex digits of the SHA-256 of the one file with the denoising network's weights, as AUTOMATIC1111's web UI shows it. */
export const modelHashSchema = z.string().regex(/^[0-9a-f]{10}$/);

const plainValue = z.union([foreignText, z.number(), z.boolean()]);

export const modelFactsSchema = z.object({
  /** As shown and stored: the folder's name or the hub id. */
  modelName: foreignText,
  /** null: not known yet, or the weights lie in several files. */
  modelHash: modelHashSchema.nullable(),
  /** Of an autoencoder that replaces the checkpoint's own. */
  vaeName: foreignText.optional(),
  pipelineClass: foreignText,
  /** Names of the request fields that the model reads. A document that states another is refused. */
  fields: z.array(z.string()),
  defaultWidthPx: z.number().int(),
  defaultHeightPx: z.number().int(),
  /** The model's own defaults for all other fields, by their names in the table of request fields. They come before the table's. */
  defaults: z.record(z.string(), z.union([plainValue, z.array(plainValue).readonly()])),
  /** Of `deep_cache_branch`; absent: the model has no such branches. */
  largestDeepCacheBranch: z.number().int().nonnegative().optional(),
  /** How many images share one pass of the denoising network at most. */
  maxBatchImages: z.number().int().positive(),
  device: foreignText,
  /** Of a GPU: as its maker calls it. */
  deviceName: foreignText.optional(),
  deviceReason: foreignText,
  /** The runtime's message about a device that it cannot use. */
  deviceDetail: foreignText.optional(),
  dtype: z.enum(['float32', 'float16', 'bfloat16']),
  /** Linear layers of the denoising network have weights of 8 bits. Absent: they have floating-point numbers. */
  weights: z.literal('int8').optional(),
  /** Absent: the only one there is. */
  runtime: z.enum(['onnxruntime', 'onnxruntime-c', 'openvino']).optional(),
  runtimeReason: foreignText.optional(),
  /** Of the networks' graphs, on a GPU. Absent: the CPU has one only. */
  form: z.enum(['portable', 'fused']).optional(),
  /** One network at a time is in memory. */
  lowMemory: z.boolean().optional(),
  loadMs: z.number(),
  warnings: warningsSchema,
  /** Sentences about the checkpoint for somebody who looks for the reason of something. */
  details: warningsSchema.optional(),
});
export type ModelFacts = z.infer<typeof modelFactsSchema>;
