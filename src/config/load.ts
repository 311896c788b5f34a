/**
 * Flags and environment → frozen Config. A flag beats the environment, an empty
 * variable is unset, and a bad value is refused by name, quoted, with what is allowed.
 */
import { readFileSync } from 'node:fs';
import type { ErrorCode } from '../errors/error-codes.ts';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { type Environment, processEnvironment } from './environment.ts';
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
} from './schema.ts';

/** As commander gives them: a text, or true and false for a switch; absent ones are undefined. */
export type Flags = Readonly<Partial<Record<OptionName, string | boolean | undefined>>>;

export interface ConfigSources {
  readonly command: CommandName;
  readonly flags: Flags;
  readonly environment?: Environment;
}

/** @throws `invalid_option`; for a picture's options of `generate` and `enqueue` `invalid_parameter` */
export function loadConfig({ command, flags, environment = processEnvironment() }: ConfigSources): Config {
  const taken = new Set(optionsOf(command));
  const values = OPTION_NAMES.map((name) => {
    const spec: OptionSpec = OPTIONS[name];
    const given = taken.has(name) ? (fromFlags(flags, name) ?? fromEnvironment(environment, name)) : undefined;
    const raw = given ?? (spec.default === undefined ? undefined : { source: flagOf(name), value: spec.default });
    return [name, raw === undefined ? undefined : parse({ command, name, ...raw })];
  });
  return Object.freeze(Object.fromEntries(values)) as Config;
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

function fromEnvironment(environment: Environment, name: OptionName): RawOption | undefined {
  const variable = environmentNameOf(name);
  const value = environment[variable];
  if (value !== undefined && value !== '') return { source: variable, value };
  const file = (OPTIONS[name] as OptionSpec).secret ? environment[`${variable}_FILE`] : undefined;
  return file === undefined || file === ''
    ? undefined
    : { source: `${variable}_FILE`, value: readSecret(`${variable}_FILE`, file) };
}

function readSecret(variable: string, file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (error) {
    throw new Text2ImgError(
      'invalid_option',
      `${variable} ${JSON.stringify(file)} cannot be read: ${(error as Error).message}.`,
      { cause: error },
    );
  }
}

function parse({
  command,
  name,
  source,
  value,
}: RawOption & { readonly command: CommandName; readonly name: OptionName }): unknown {
  const spec: OptionSpec = OPTIONS[name];
  const result = spec.schema.safeParse(value);
  if (result.success) return result.data;
  const code: ErrorCode = command === 'run' ? 'invalid_option' : (spec.requestFault ?? 'invalid_option');
  const quoted = spec.secret ? '(not shown)' : JSON.stringify(value.length > 100 ? `${value.slice(0, 100)}…` : value);
  throw new Text2ImgError(code, `${source} ${quoted} is not allowed; it must be ${spec.allowed}.`);
}
