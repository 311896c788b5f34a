/** Every spelling of a flag: its name, one letter, the names that other tools give it, and `--size`, which is two options in one. */
import {
  type CommandName,
  flagOf,
  OPTION_NAMES,
  OPTIONS,
  type OptionName,
  type OptionSpec,
  optionsOf,
} from '../config/options.ts';
import { flagNamed } from '../config/options/option-spec.ts';
import type { Flags } from '../config/parse.ts';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { quote } from '../lib/foreign-text.ts';
import { camelCase } from '../lib/letter-cases.ts';

/** `--size 768x512` is `--width 768 --height 512`. */
export const SIZE_FLAG = '--size';
const SIZE = /^\s*(\d+)\s*[x×*]\s*(\d+)\s*$/i;

/** Other flags for an option, as commander needs them: the help leaves them out. */
export function aliasesOf(name: OptionName): readonly string[] {
  const { aliases = [] }: OptionSpec = OPTIONS[name];
  return aliases;
}

/** Whether a command has images of a size. */
export function takesSize(command: CommandName): boolean {
  return optionsOf(command).includes('width');
}

/** Flags that take the next argument as their value: `--prompt --json` asks for an image of "--json". */
export const VALUE_FLAGS: ReadonlySet<string> = new Set([
  SIZE_FLAG,
  ...OPTION_NAMES.flatMap((name) => {
    const { placeholder, short }: OptionSpec = OPTIONS[name];
    if (placeholder === undefined) return [];
    return [flagOf(name), ...(short === undefined ? [] : [short]), ...aliasesOf(name)];
  }),
]);

/** Which option a flag means, by the name under which commander keeps its value. */
const OPTION_OF_ALIAS: ReadonlyMap<string, OptionName> = new Map(
  OPTION_NAMES.flatMap((name) => aliasesOf(name).map((alias) => [camelCase(alias.slice(2)), name] as const)),
);

/** Options whose flag is another option's for other commands, by the name under which commander keeps the value. */
function ownFlagsOf(command: CommandName): ReadonlyMap<string, OptionName> {
  return new Map(
    optionsOf(command).flatMap((name) => {
      const { flag }: OptionSpec = OPTIONS[name];
      return flag === undefined ? [] : [[camelCase(flag.slice(2)), name] as const];
    }),
  );
}

type Typed = Readonly<Record<string, string | boolean | undefined>>;

interface Given {
  readonly flag: string;
  readonly value: string | boolean;
}

export interface JoinedFlags {
  readonly flags: Flags;
  /** Where an alias was typed, that alias: an error names what the user wrote. */
  readonly spellings: ReadonlyMap<string, string> | undefined;
}

/** The flags by the names of their options. @throws `conflicting_options` when two spellings have different values, `invalid_option` */
export function joinAliases({ size, ...typed }: Typed, command: CommandName): JoinedFlags {
  const ownFlags = ownFlagsOf(command);
  const given = new Map<string, Given>();
  const spellings = new Map<string, string>();
  const add = (name: string, one: Given): void => {
    const other = given.get(name);
    if (other !== undefined && other.value !== one.value) throw conflict(other, one);
    given.set(name, one);
  };
  for (const [kept, value] of Object.entries(typed)) {
    if (value === undefined) continue;
    const flag = flagNamed(kept);
    const name = OPTION_OF_ALIAS.get(kept);
    if (name !== undefined) spellings.set(name, flag);
    add(ownFlags.get(kept) ?? name ?? kept, { flag, value });
  }
  for (const [name, value] of sidesOf(size)) add(name, { flag: SIZE_FLAG, value });
  return {
    flags: Object.fromEntries([...given].map(([name, { value }]) => [name, value])),
    spellings: spellings.size === 0 ? undefined : spellings,
  };
}

function conflict(one: Given, other: Given): Text2ImgError {
  return new Text2ImgError(
    'conflicting_options',
    `${one.flag} ${quote(one.value)} and ${other.flag} ${quote(other.value)} set one option to two values; give one of them.`,
  );
}

function sidesOf(size: string | boolean | undefined): readonly (readonly ['width' | 'height', string])[] {
  if (typeof size !== 'string') return [];
  const [, width, height] = SIZE.exec(size) ?? [];
  if (width !== undefined && height !== undefined)
    return [
      ['width', width],
      ['height', height],
    ];
  throw new Text2ImgError(
    'invalid_option',
    `${SIZE_FLAG} ${quote(size)} is not allowed; it must be width x height in pixels, like 768x512.`,
  );
}
