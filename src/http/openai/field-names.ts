/**
 * The names under which clients ask for our request fields: ours, and those of stable-diffusion.cpp, vLLM-Omni, SGLang, LocalAI and Ollama. Sources:
 * the request classes of these servers, as of August to November 2026.
 */
import { fieldOfOtherTools } from '../../job/foreign-fields.ts';
import { REQUEST_FIELDS } from '../../job/request-fields.ts';

const WIRE_NAMES: ReadonlySet<string> = new Set(Object.values(REQUEST_FIELDS).map(({ wire }) => wire));

/** Not in `job/foreign-fields.ts`: documents have fields of the user's own, and these words are short. */
const NAMES_OF_SERVERS: ReadonlyMap<string, string> = new Map([
  ['n', REQUEST_FIELDS.numImages.wire],
  ['num_images_per_prompt', REQUEST_FIELDS.numImages.wire],
  ['step', REQUEST_FIELDS.numInferenceSteps.wire],
  ['sample_steps', REQUEST_FIELDS.numInferenceSteps.wire],
  ['true_cfg_scale', REQUEST_FIELDS.guidanceScale.wire],
  ['sample_method', REQUEST_FIELDS.scheduler.wire],
  ['rng_seed', REQUEST_FIELDS.seed.wire],
]);

/** They count the layers from 1. */
const COUNTED_FROM_ONE: ReadonlySet<string> = new Set(['clip_stop_at_last_layers', 'CLIP_stop_at_last_layers']);

/** The request field, by its name in documents, that a client means by `name`. */
export function requestFieldOf(name: string): string | undefined {
  if (WIRE_NAMES.has(name)) return name;
  if (COUNTED_FROM_ONE.has(name)) return undefined;
  const wire = NAMES_OF_SERVERS.get(name) ?? fieldOfOtherTools(name);
  return wire !== undefined && WIRE_NAMES.has(wire) ? wire : undefined;
}

/** Whose names come first where a body states a field twice: this API's own, then ours, then the rest. */
const OWN_NAMES: readonly string[] = ['prompt', 'n'];

export function rankOf(name: string): number {
  const rank = OWN_NAMES.includes(name) ? 0 : 1;
  return rank === 0 || WIRE_NAMES.has(name) ? rank : 2;
}
