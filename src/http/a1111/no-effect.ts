/**
 * Fields that have no effect here. One is named in a warning when its value differs from the values that mean "off": `webuiapi` always sends all
 * fields with its defaults. Source of the defaults: webuiapi 0.9.17 and the request classes of AUTOMATIC1111's web UI (modules/api/models.py).
 */
import { quote } from '../../lib/foreign-text.ts';
import { isRecord, own } from '../../lib/foreign-record.ts';
import { type Body, BULKY, isEmpty, numberIn } from './body.ts';

interface NoEffect {
  /** Values that ask for nothing, beside null and empty ones. */
  readonly off: readonly unknown[];
  /** The name that users know it by. */
  readonly called?: string;
}

const FIELDS: Readonly<Record<string, NoEffect>> = {
  enable_hr: { off: [false], called: 'hires fix' },
  styles: { off: [] },
  subseed_strength: { off: [0], called: 'variation seed' },
  seed_resize_from_w: { off: [0, -1] },
  seed_resize_from_h: { off: [0, -1] },
  restore_faces: { off: [false] },
  tiling: { off: [false] },
  do_not_save_samples: { off: [false], called: 'images are always stored' },
  s_churn: { off: [0] },
  s_tmax: { off: [0] },
  s_tmin: { off: [0] },
  s_noise: { off: [1] },
  s_min_uncond: { off: [0] },
  script_name: { off: ['None'] },
  alwayson_scripts: { off: [] },
  refiner_checkpoint: { off: ['None'] },
};

/** They ask for nothing by themselves: the field that turns them on is named instead, or there is nothing to leave out here. */
const SILENT: ReadonlySet<string> = new Set([
  'hr_scale',
  'hr_upscaler',
  'hr_second_pass_steps',
  'hr_resize_x',
  'hr_resize_y',
  'hr_checkpoint_name',
  'hr_additional_modules',
  'hr_sampler_name',
  'hr_scheduler',
  'hr_prompt',
  'hr_negative_prompt',
  'hr_cfg',
  'hr_distilled_cfg',
  'denoising_strength',
  'firstphase_width',
  'firstphase_height',
  'subseed',
  'refiner_switch_at',
  'script_args',
  'save_images',
  'do_not_save_grid',
  'override_settings_restore_afterwards',
  'disable_extra_networks',
  'force_task_id',
]);

const MOST_NAMED = 12;
const QUOTED_LENGTH = 40;

/** @param read names that the door reads @returns one sentence at most */
export function noEffectWarnings(body: Body, read: ReadonlySet<string>): readonly string[] {
  const named = Object.keys(body)
    .filter((name) => !read.has(name) && !SILENT.has(name) && !isOff(body, name))
    .map((name) => describe(name, body[name]));
  return sentence('These fields have no effect here', named);
}

/** @param read names of settings that the door reads @param kept the settings of `GET options`, which clients send again */
export function settingsWarnings(settings: Body, read: ReadonlySet<string>, kept: Body): readonly string[] {
  const named = Object.keys(settings)
    .filter((name) => !read.has(name) && !isEmpty(settings[name]) && settings[name] !== own(kept, name))
    .map((name) => describe(name, settings[name]));
  return sentence('These settings have no effect here', named);
}

function sentence(beginning: string, named: readonly string[]): readonly string[] {
  if (named.length === 0) return [];
  const more = named.length > MOST_NAMED ? ` and ${named.length - MOST_NAMED} more` : '';
  return [`${beginning}: ${named.slice(0, MOST_NAMED).join(', ')}${more}.`];
}

function isOff(body: Body, name: string): boolean {
  if (isEmpty(body[name])) return true;
  const off = own(FIELDS, name)?.off ?? [];
  return off.includes(numberIn(body, name));
}

function describe(name: string, value: unknown): string {
  const called = own(FIELDS, name)?.called;
  const label = `${quote(name, QUOTED_LENGTH)}${called === undefined ? '' : ` (${called})`}`;
  // Of scripts, which ones: their arguments hold whole images.
  if (BULKY.has(name)) return isRecord(value) ? `${label} ${quote(Object.keys(value), QUOTED_LENGTH)}` : label;
  return `${label} ${quote(value, QUOTED_LENGTH)}`;
}
