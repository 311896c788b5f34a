/** A job of the engine: its request, its events, its result. */
import type { ResolvedGenerationRequest } from '../job/generation-request.ts';
import type { RawImage } from '../job/raw-image.ts';
import type { JobDurations, PipelineStage } from '../job/stages.ts';

export interface EngineJob {
  readonly jobId: string;
  readonly request: ResolvedGenerationRequest;
  /** The images that the request begins with. A model that reads none refuses the job with `invalid_parameter`. */
  readonly images: readonly RawImage[];
}

export interface EngineImage {
  readonly imageIndex: number;
  readonly seed: number;
  readonly image: RawImage;
}

export interface JobResult {
  /** In order. */
  readonly images: readonly EngineImage[];
  readonly warnings: readonly string[];
  /** Of the stages `load`, `encode`, `denoise` and `decode`. */
  readonly durationsMs: JobDurations;
}

/** One promise a job, in the order of the jobs. */
export type ResultsOf<Jobs extends readonly EngineJob[]> = { readonly [Index in keyof Jobs]: Promise<JobResult> };

export interface EngineProgress {
  readonly stage: PipelineStage;
  readonly step: number;
  readonly steps: number;
}

/** The events of a job before its end. */
export interface JobEvents {
  onProgress?(jobId: string, progress: EngineProgress): void;
  /** Only while the job is watched: what the image looks like so far. */
  onPreview?(jobId: string, image: RawImage): void;
}

export interface GenerateOptions extends JobEvents {
  /** Fewer images per pass than the model allows. */
  readonly maxBatchImages?: number;
}
