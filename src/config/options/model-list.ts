/** The value of `--models`: models with commas between them, each as for `--model`, perhaps with a name of its own before it. */
import type { ValueType } from './value-types.ts';

export interface ModelEntry {
  /** The name that requests ask for. Absent: the model's own. */
  readonly alias?: string;
  /** A folder, a file or a name on the hub. */
  readonly place: string;
}

/** A claim asks for each of them by name. */
const MOST_MODELS = 50;
/** Without a slash: in `/models/a=b.safetensors` nothing is named. */
const NAMED = /^([^=/\\~]{0,100})=(.*)$/s;
const ALIAS = /^\w[\w.:-]*$/;

export const modelList: ValueType<readonly [ModelEntry, ...ModelEntry[]]> = {
  parseText: (value) => {
    const [first, ...others] = entriesOf(value);
    return first === undefined || faultOf(value) !== undefined ? undefined : [first, ...others];
  },
  reasonAgainst: faultOf,
};

/** Undefined: none. */
function faultOf(value: string): string | undefined {
  const entries = entriesOf(value);
  if (entries.some(({ place }) => place === '')) return 'a model is missing beside a comma or a name';
  if (entries.length > MOST_MODELS) return `it names ${entries.length} models, and ${MOST_MODELS} are allowed`;
  const aliases = entries.flatMap(({ alias }) => alias ?? []);
  if (aliases.some((alias) => !ALIAS.test(alias)))
    return 'a name before "=" may have letters, digits and the signs _ . : -';
  return aliases.length > new Set(aliases).size ? 'it gives one name to two models' : undefined;
}

function entriesOf(value: string): readonly ModelEntry[] {
  return value.split(',').map((text) => {
    const [, alias, place] = NAMED.exec(text.trim()) ?? [];
    return alias === undefined || place === undefined
      ? { place: text.trim() }
      : { alias: alias.trim(), place: place.trim() };
  });
}
