/**
 * A denoising network's inputs beside latents and timestep, by the names of its graph: the prompt's embeddings, a pooled vector, sizes, the guidance.
 * Each image has its own, so images with different prompts and sizes share a pass.
 */
import type { ResolvedGenerationRequest } from '../../job/generation-request.ts';
import type { HostTensor } from '../../runtime/contract.ts';
import { float32 } from '../../runtime/tensors.ts';
import { joined } from './joined.ts';

interface ConditionRow {
  readonly data: Float32Array;
  /** Without the batch. */
  readonly shape: readonly number[];
}

/** Of one image, by the names of the graph's inputs. */
export type Condition = Readonly<Record<string, ConditionRow>>;

export interface Conditions {
  readonly conditional: Condition;
  /** Used by guided passes only. */
  readonly unconditional: Condition;
}

/** A job whose prompts are encoded. */
interface EncodingJob {
  readonly request: ResolvedGenerationRequest;
  /** The job's; sentences are added. */
  readonly warnings: string[];
  readonly signal: AbortSignal;
}

/** A family's half of a latent diffusion pipeline: makes the denoising network's inputs from a request. */
export interface Conditioner {
  /** Before anything is computed. @throws `invalid_parameter` */
  check(request: ResolvedGenerationRequest): void;
  /** Whether passes predict an unconditional half too, until `guidance_stop` ends it. */
  isGuided(request: ResolvedGenerationRequest): boolean;
  /** @throws `invalid_image`, `inference_failed`, `engine_out_of_memory`, `cancelled` */
  encode(job: EncodingJob): Promise<Conditions>;
}

/** @param rows with the same inputs in the same shapes @returns the graph's inputs by their names, [B, …] each */
export function batchedConditions(rows: readonly Condition[]): readonly (readonly [name: string, HostTensor])[] {
  return Object.entries(rows[0] ?? {}).map(([name, { shape }]) => {
    const data = joined(rows.map((row) => row[name]?.data ?? new Float32Array()));
    return [name, float32(data, [rows.length, ...shape])];
  });
}
