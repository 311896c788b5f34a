/** The tag of stable-diffusion.cpp in a prompt, as fields of this door's body. Its own server reads it here too. */
import { takeExtraArguments } from '../openai/extra-arguments.ts';
import type { Body } from './body.ts';

/** The tag's names, as its reader returns them, in the web UI's names where these differ. */
const NAMES: Readonly<Record<string, string>> = {
  sample_steps: 'steps',
  sample_method: 'sampler_name',
  schedule_type: 'scheduler',
  guidance_scale: 'cfg_scale',
  batch_count: 'batch_size',
};

interface ReadTag {
  /** The tag's fields stand before those of the body, as in stable-diffusion.cpp. */
  readonly body: Body;
  readonly warnings: readonly string[];
}

/** @throws `invalid_parameter` for a tag that holds no JSON object */
export function withTagArguments(body: Body): ReadTag {
  const { prompt: text } = body;
  if (typeof text !== 'string') return { body, warnings: [] };
  const { prompt, fields, ignored } = takeExtraArguments(text);
  const named = Object.entries(fields).map(
    ([name, value]) => [NAMES[name] ?? name, inWebUiTerms(name, value)] as const,
  );
  return {
    body: { ...body, ...Object.fromEntries(named), prompt },
    warnings: ignored.length === 0 ? [] : [`These arguments in the prompt have no effect here: ${ignored.join(', ')}.`],
  };
}

/** The web UI counts layers from 1. */
function inWebUiTerms(name: string, value: unknown): unknown {
  return name === 'clip_skip' && typeof value === 'number' ? value + 1 : value;
}
