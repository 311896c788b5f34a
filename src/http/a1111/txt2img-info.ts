/**
 * The answer's `info`, a JSON text. LibreChat and webuiapi read `seed`, `width`, `height` and `infotexts` from it. Source of the names:
 * modules/processing.py, Processed.js, of AUTOMATIC1111's web UI.
 */
import type { FieldValue } from '../../job/request-field.ts';
import { own } from '../../lib/foreign-record.ts';
import { isScheduleType, samplerOfScheduler } from '../../schedulers/scheduler-names.ts';
import { SCHEDULE_LABELS } from '../../schedulers/schedule-types.ts';
import { VERSION } from '../../version.ts';
import type { EndedJob } from '../front/front.ts';
import { timestamp } from './timestamp.ts';

interface InfoOptions {
  /** The jobs that completed, in order; none where all were interrupted. */
  readonly jobs: readonly EndedJob[];
  /** The request in the wire's names, for values that no job can say. */
  readonly document: Readonly<Record<string, unknown>>;
  readonly model: string;
  readonly images: readonly ImageFacts[];
  readonly warnings: readonly string[];
  readonly now: Date;
}

export interface ImageFacts {
  readonly seed: number;
  /** The `parameters` text of its PNG. */
  readonly infotext: string;
}

/** No variation seed was used. */
const NO_SUBSEED = -1;

export function infoText({ jobs, document, model, images, warnings, now }: InfoOptions): string {
  const [job] = jobs;
  const used = (name: string): FieldValue | undefined => own(job?.parameters ?? {}, name);
  const value = (name: string): unknown => used(name) ?? own(document, name);
  const prompt = textOf(own(document, 'text'));
  const negative = textOf(value('negative_prompt'));
  const clipSkip = value('clip_skip');
  const schedule = scheduleLabel(value('schedule_type'));
  return JSON.stringify({
    prompt,
    all_prompts: images.map(() => prompt),
    negative_prompt: negative,
    all_negative_prompts: images.map(() => negative),
    seed: images[0]?.seed ?? value('seed') ?? -1,
    all_seeds: images.map(({ seed }) => seed),
    subseed: NO_SUBSEED,
    all_subseeds: images.map(() => NO_SUBSEED),
    subseed_strength: 0,
    width: value('width'),
    height: value('height'),
    sampler_name: samplerName(value('scheduler')),
    cfg_scale: value('guidance_scale'),
    steps: value('num_inference_steps'),
    batch_size: value('num_images') ?? 1,
    restore_faces: false,
    face_restoration_model: null,
    sd_model_name: used('model') ?? model,
    sd_model_hash: used('model_hash') ?? null,
    sd_vae_name: null,
    sd_vae_hash: null,
    seed_resize_from_w: -1,
    seed_resize_from_h: -1,
    denoising_strength: null,
    extra_generation_params: {
      ...(schedule === undefined ? {} : { 'Schedule type': schedule }),
      ...(warnings.length === 0 ? {} : { Warnings: warnings.join(' ') }),
    },
    index_of_first_image: 0,
    infotexts: images.map(({ infotext }) => infotext),
    styles: [],
    job_timestamp: timestamp(job?.startedAt ?? now),
    clip_skip: typeof clipSkip === 'number' ? clipSkip + 1 : 1,
    is_using_inpainting_conditioning: false,
    version: `text2img ${VERSION}`,
  });
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function samplerName(scheduler: unknown): string | null {
  return typeof scheduler === 'string' ? samplerOfScheduler(scheduler) : null;
}

function scheduleLabel(schedule: unknown): string | undefined {
  if (typeof schedule !== 'string') return undefined;
  const label = own<string>(SCHEDULE_LABELS, schedule) ?? schedule;
  return isScheduleType(label) ? label : undefined;
}
