/**
 * Flags, environment and secret files → frozen Config. A flag beats the environment, an empty
 * variable is unset, and a bad value is refused by name, quoted, with what is allowed.
 */
import type { ErrorCode } from '../errors/error-codes.ts';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { quote } from '../lib/foreign-text.ts';
import { type Environment, stated } from './environment.ts';
import { quoteUrl } from './quote-url.ts';
import {
  type CommandName,
  type Config,
  environmentNameOf,
  flagOf,
  OPTION_NAMES,
  OPTIONS,
  type OptionName,
  type OptionSpec,
  optionsOf,
} from './options.ts';
import { type Secrets, secretFileOf } from './secrets.ts';
import { expandHome } from './user-folders.ts';

/** As commander gives them: a text, or true and false for a switch; absent ones are undefined. */
export type Flags = Readonly<Partial<Record<OptionName, string | boolean | undefined>>>;

export interface ConfigSources {
  readonly command: CommandName;
  readonly flags: Flags;
  readonly environment: Environment;
  readonly secrets: Secrets;
}

const sources = new WeakMap<Config, ReadonlyMap<OptionName, string>>();

/** How the user gave an option, for errors that come up later: the flag's or the variable's name. */
export function nameInUse(config: Config, name: OptionName): string {
  return sources.get(config)?.get(name) ?? flagOf(name);
}

/** @throws `invalid_option`; for a request's options of `generate` and `enqueue` `invalid_parameter` */
export function parseOptions({ command, flags, environment, secrets }: ConfigSources): Config {
  const taken = new Set(optionsOf(command));
  const values: [OptionName, unknown][] = [];
  const names = new Map<OptionName, string>();
  for (const name of OPTION_NAMES) {
    const spec: OptionSpec = OPTIONS[name];
    const given = taken.has(name) ? (fromFlags(flags, name) ?? fromEnvironment(environment, name, secrets)) : undefined;
    const raw = given ?? (spec.default === undefined ? undefined : { source: flagOf(name), value: spec.default });
    if (raw !== undefined) names.set(name, raw.source);
    values.push([name, raw === undefined ? undefined : parse({ command, name, environment, ...raw })]);
  }
  const config = Object.freeze(Object.fromEntries(values)) as Config;
  sources.set(config, names);
  return config;
}

interface RawOption {
  /** How the user gave it: the flag's or the variable's name. */
  readonly source: string;
  readonly value: string;
}

function fromFlags(flags: Flags, name: OptionName): RawOption | undefined {
  const value = flags[name];
  if (value === undefined) return undefined;
  return { source: flagOf(name), value: typeof value === 'boolean' ? (value ? 'on' : 'off') : value };
}

function fromEnvironment(environment: Environment, name: OptionName, secrets: Secrets): RawOption | undefined {
  const variable = environmentNameOf(name);
  const value = stated(environment, variable);
  if (value !== undefined) return { source: variable, value };
  const file = secretFileOf(environment, name);
  const secret = file === undefined ? undefined : secrets.get(file.variable);
  return file === undefined || secret === undefined ? undefined : { source: file.variable, value: secret };
}

interface ParsedOption extends RawOption {
  readonly command: CommandName;
  readonly name: OptionName;
  readonly environment: Environment;
}

function parse({ command, name, source, value, environment }: ParsedOption): unknown {
  const spec: OptionSpec = OPTIONS[name];
  const refuse = (reason: string | undefined): never => {
    const code: ErrorCode = command === 'run' ? 'invalid_option' : (spec.requestFault ?? 'invalid_option');
    const why = reason === undefined ? '' : `: ${reason}`;
    throw new Text2ImgError(code, `${source} ${shown(spec, value)} is not allowed${why}; it must be ${spec.allowed}.`);
  };
  const text = prepared(spec, value, environment);
  if (text.trim() === '' && spec.mayBeEmpty !== true) refuse(undefined);
  const control = spec.kind === 'path' || spec.kind === 'text' || spec.secret ? /\0/ : /\p{Cc}/u;
  if (control.test(text)) refuse('it holds a control character');
  return spec.type.parseText(text) ?? refuse(spec.type.reasonAgainst?.(text));
}

function prepared({ kind }: OptionSpec, value: string, environment: Environment): string {
  if (kind === 'text') return value;
  return kind === 'path' ? expandHome(value, environment) : value.trim();
}

/** What an error may say of a value. */
function shown(spec: OptionSpec, value: string): string {
  if (spec.secret) return '(not shown)';
  return spec.kind === 'url' ? quoteUrl(value) : quote(value);
}
