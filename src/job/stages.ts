/** The stages that a job goes through. Each is measured where it happens; the worker joins them in the line that says that the job is completed. */

/** The stages of the model's own work. */
export const PIPELINE_STAGES = ['encode', 'denoise', 'decode'] as const;
export type PipelineStage = (typeof PIPELINE_STAGES)[number];

/** Milliseconds of a job's own work; in a shared pass each job of it counts the whole pass. */
export type PipelineDurations = Readonly<Record<PipelineStage, number>>;

/** `load`: the job waited for the model. `encodeImage`: pixels become a PNG. */
export const JOB_STAGES = ['claim', 'load', ...PIPELINE_STAGES, 'encodeImage', 'store', 'complete'] as const;
export type JobStage = (typeof JOB_STAGES)[number];

/** A stage that this attempt did not go through is missing: images that are stored already are not generated again. */
export type JobDurations = Partial<Record<JobStage, number>>;
