/** The record of an option, and the names of the commands. */
import { separated } from '../../lib/letter-cases.ts';
import type { ValueType } from './value-types.ts';

export const COMMANDS = [
  'run',
  'generate',
  'enqueue',
  'jobs',
  'webhooks',
  'models',
  'doctor',
  'health',
  'setup',
  'serve',
  'mcp',
  'keys',
] as const;
export type CommandName = (typeof COMMANDS)[number];

/**
 * How a value is read. `word`: names and numbers; white space at its ends goes, control characters are refused. `url`: a word that errors quote by
 * scheme and host only, because the rest may hold a token. `path`: as typed; `~` at its start is the home folder. `text`: as typed, may be empty.
 */
type OptionKind = 'word' | 'url' | 'path' | 'text';

export interface OptionSpec {
  /** The text after the flag in the help, as `<steps>`; a switch has none. */
  readonly placeholder?: string;
  readonly type: ValueType<unknown>;
  /** Default: `word`. */
  readonly kind?: OptionKind;
  /** `--x=` means something; elsewhere an empty flag is refused. */
  readonly mayBeEmpty?: true;
  /** As the user would write it; without one the option may be absent. */
  readonly default?: string;
  /** One line. Of a switch that is on: what `--no-…` does. */
  readonly doc: string;
  /** Completes "… is not allowed; it must be". */
  readonly allowed: string;
  readonly commands: readonly CommandName[];
  /** The help shows it for these actions only (`list` of `jobs list`). Every action of its commands accepts it. */
  readonly actions?: readonly string[];
  /** The environment variable, where it is not `TEXT2IMG_<NAME>`. */
  readonly environment?: string;
  /** Where it is not the name in kebab case: `--model` means something else for other commands. */
  readonly flag?: `--${string}`;
  /** One dash and a letter: `-s`. */
  readonly short?: string;
  /** Other flags for the same option. The help leaves them out, docs/options.md lists them. */
  readonly aliases?: readonly string[];
  /** Few need it: the help lists it in a group below the others. */
  readonly isRare?: true;
  /** Describes the image: the code of a bad value when the command is about one image, whose fault it then is. */
  readonly requestFault?: 'invalid_parameter' | 'unknown_scheduler';
  /** May also come from the file that `<VARIABLE>_FILE` names; never quoted in an error. */
  readonly secret?: true;
}

export const QUEUE_COMMANDS = ['run', 'serve', 'mcp', 'enqueue', 'jobs', 'webhooks', 'doctor'] as const;
export const WEBHOOK_COMMANDS = ['run', 'serve', 'mcp', 'webhooks'] as const;
/** They have a worker. */
export const WORKING = ['run', 'serve', 'mcp'] as const;
export const DRAWING = ['run', 'serve', 'mcp', 'generate'] as const;
export const PICTURE = ['run', 'serve', 'mcp', 'generate', 'enqueue'] as const;

/** Keeps each option's own type. */
export function option<const Spec extends OptionSpec>(spec: Spec): Spec {
  return spec;
}

/** `numImages` → `--num-images`, `prompt2` → `--prompt-2`. */
export function flagNamed(name: string): string {
  return `--${separated(name, '-')}`;
}

/** The flag of an option of this name. */
export function flagFor(name: string, { flag }: Pick<OptionSpec, 'flag'>): string {
  return flag ?? flagNamed(name);
}

/** `numImages` → `TEXT2IMG_NUM_IMAGES`, save for the names of the contract. */
export function variableOf(name: string, spec: OptionSpec): string {
  return spec.environment ?? `TEXT2IMG_${separated(name, '_').toUpperCase()}`;
}
