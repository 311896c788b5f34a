/**
 * Fields of a document that nobody reads although somebody meant one of ours: slips of the pen (`num_inference_step`) and the names of other tools
 * (`sampler_name`). All other fields are the user's own and are left alone.
 */
import { quote } from '../lib/foreign-text.ts';
import { camelCase } from '../lib/letter-cases.ts';
import { slipsBetween } from '../lib/nearest-name.ts';
import { DOCUMENT_FIELDS, REQUEST_FIELDS } from './request-fields.ts';

/** In other tools, to the names of our documents. From the APIs of AUTOMATIC1111, ComfyUI, InvokeAI, Replicate, Stability and diffusers. */
const OTHER_NAMES: Readonly<Record<string, readonly string[]>> = {
  text: ['prompt', 'positive_prompt', 'text_prompt'],
  negative_prompt: ['negative', 'neg_prompt', 'negative_text'],
  num_inference_steps: ['steps', 'num_steps', 'inference_steps', 'sampling_steps', 'ddim_steps'],
  guidance_scale: ['cfg_scale', 'cfg', 'guidance', 'cfg_guidance_scale'],
  num_images: [
    'n_iter',
    'batch_size',
    'batch_count',
    'num_images_per_prompt',
    'num_outputs',
    'n_samples',
    'image_count',
  ],
  scheduler: ['sampler_name', 'sampler', 'sampler_index', 'scheduler_name'],
  seed: ['noise_seed', 'random_seed'],
  width: ['image_width'],
  height: ['image_height'],
  callback_url: ['webhook', 'webhook_url'],
  prompt_2: ['style_prompt', 'positive_style_prompt', 'text_2'],
  negative_prompt_2: ['negative_style_prompt'],
  clip_skip: ['clip_stop_at_last_layers', 'CLIP_stop_at_last_layers'],
  guidance_rescale: ['cfg_rescale', 'cfg_rescale_multiplier', 'rescale_cfg', 'guidance_rescale_factor'],
  guidance_stop: ['cfg_end', 'guidance_end', 'cutoff_step_ratio'],
};

/** Words of their own that are one letter away from a field. */
const OWN_WORDS: ReadonlySet<string> = new Set(['see', 'speed', 'steed', 'with', 'eight', 'schedule', 'ext']);

/** Longer names are nobody's slip. */
export const MAX_FIELD_NAME_BYTES = 60;
/** More names than that of one document are not looked at. */
export const MAX_FIELD_NAMES = 200;

const WIRE_NAMES = Object.values({ ...REQUEST_FIELDS, ...DOCUMENT_FIELDS }).map(({ wire }): string => wire);
const REQUIRED = Object.values(REQUEST_FIELDS).flatMap((field): string[] =>
  field.default === 'required' ? [field.wire] : [],
);

/** A spelling that other tools use, to our name: the list above, and our names in camel case. */
const FOREIGN_NAMES: ReadonlyMap<string, string> = new Map([
  ...Object.entries(OTHER_NAMES).flatMap(([wire, others]) =>
    others.flatMap((name) => [name, camelCase(name)].map((one) => [one, wire] as const)),
  ),
  ...WIRE_NAMES.filter((wire) => wire.includes('_')).map((wire) => [camelCase(wire), wire] as const),
]);

export interface UnreadField {
  readonly name: string;
  /** Our field that was perhaps meant. */
  readonly meant: string;
  /** `slip`: surely meant for us. `foreign`: another tool reads it. */
  readonly kind: 'slip' | 'foreign';
}

/** Our field for the name that another tool uses. */
export function fieldOfOtherTools(name: string): string | undefined {
  return FOREIGN_NAMES.get(name);
}

/** @param names of a document's fields. One that is there beside the field that it resembles has a meaning of its own */
export function unreadFields(names: readonly string[]): readonly UnreadField[] {
  const stated = new Set(names);
  return names.slice(0, MAX_FIELD_NAMES).flatMap((name) => {
    const found = unreadField(name);
    return found === undefined || stated.has(found.meant) ? [] : [found];
  });
}

function unreadField(name: string): UnreadField | undefined {
  if (name.length > MAX_FIELD_NAME_BYTES || WIRE_NAMES.includes(name)) return undefined;
  const foreign = FOREIGN_NAMES.get(name);
  // Without the one field that every document needs, its other name was surely meant for us.
  if (foreign !== undefined) return { name, meant: foreign, kind: REQUIRED.includes(foreign) ? 'slip' : 'foreign' };
  const meant = WIRE_NAMES.find((wire) => isSlip(name, wire));
  return meant === undefined ? undefined : { name, meant, kind: 'slip' };
}

/** From here on a wrong letter is a slip; in shorter words it makes another word (text, test; height, weight). */
const LONG_NAME = 8;
/** From here on two slips still leave no doubt. */
const LONGER_NAME = 12;

function isSlip(name: string, wire: string): boolean {
  if (plain(name) === plain(wire)) return true;
  const word = name.toLowerCase();
  // `width2` is a second width, `prompt_1` a prompt of one's own.
  if (OWN_WORDS.has(word) || digitsOf(word) !== digitsOf(wire)) return false;
  const slips = slipsBetween(word, wire);
  if (wire.length >= LONG_NAME) return slips <= (wire.length >= LONGER_NAME ? 2 : 1);
  return slips === 1 && (word.length !== wire.length || isSwapped(word, wire));
}

function digitsOf(word: string): string {
  return word.replaceAll(/\D/g, '');
}

/** The same letters in another order. */
function isSwapped(word: string, wire: string): boolean {
  return Array.from(word).toSorted().join('') === Array.from(wire).toSorted().join('');
}

function plain(name: string): string {
  return name.toLowerCase().replaceAll(/[_\s.-]/g, '');
}

/** Of a sentence. */
const MAX_NAMED = 8;

/** For `job.warnings`. @returns undefined where there is nothing to warn of */
export function unreadFieldsWarning(names: readonly string[]): string | undefined {
  const unread = unreadFields(names);
  if (unread.length === 0) return undefined;
  const named = unread.slice(0, MAX_NAMED).map(({ name, meant }) => `${quote(name)} (perhaps ${quote(meant)})`);
  const more = unread.length - named.length;
  return `fields of the document are not read: ${named.join(', ')}${more === 0 ? '' : ` and ${more} more`}.`;
}
