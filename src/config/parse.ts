/**
 * Flags and environment → frozen Config. A flag beats the environment, an empty
 * variable is unset, and a bad value is refused by name, quoted, with what is allowed.
 */
import type { ErrorCode } from '../errors/error-codes.ts';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { quote } from '../lib/foreign-text.ts';
import { checkTogether } from './check-together.ts';
import { type Environment, processEnvironment, stated } from './environment.ts';
import { refuseMisnamedPlaces } from './foreign-variables.ts';
import { checkHubVariables } from './hub.ts';
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
import { readSecretFile } from './secret-file.ts';
import { expandHome } from './user-folders.ts';

/** As commander gives them: a text, or true and false for a switch; absent ones are undefined. */
export type Flags = Readonly<Partial<Record<OptionName, string | boolean | undefined>>>;

export interface ConfigSources {
  readonly command: CommandName;
  readonly flags: Flags;
  readonly environment?: Environment;
  /** What `readSecrets` found. */
  readonly secrets?: Secrets;
}

/** The contents of secret files, by the names of their variables. */
export type Secrets = ReadonlyMap<string, string>;

const sources = new WeakMap<Config, ReadonlyMap<OptionName, string>>();

/** How the user gave an option, for errors that come up later: the flag's or the variable's name. */
export function nameInUse(config: Config, name: OptionName): string {
  return sources.get(config)?.get(name) ?? flagOf(name);
}

/** Reads the secret files of the options that the command takes and that nothing else gives. @throws `invalid_option` */
export async function readSecrets({
  command,
  flags,
  environment = processEnvironment(),
}: ConfigSources): Promise<Secrets> {
  const secrets = new Map<string, string>();
  for (const name of optionsOf(command)) {
    const file = secretFileOf(environment, name);
    if (file === undefined || flags[name] !== undefined || stated(environment, environmentNameOf(name)) !== undefined)
      continue;
    secrets.set(file.variable, await readSecretFile(file.variable, expandHome(file.path, environment)));
  }
  return secrets;
}

function secretFileOf(
  environment: Environment,
  name: OptionName,
): { readonly variable: string; readonly path: string } | undefined {
  const variable = `${environmentNameOf(name)}_FILE`;
  const path = (OPTIONS[name] as OptionSpec).secret ? stated(environment, variable) : undefined;
  return path === undefined ? undefined : { variable, path };
}

/**
 * Everything that can be told from flags, variables and secret files is refused here, before anything is fetched, opened or made.
 * @throws `invalid_option`, `conflicting_options`; for a picture's options of `generate` and `enqueue` `invalid_parameter`
 */
export function loadConfig({
  command,
  flags,
  environment = processEnvironment(),
  secrets = new Map(),
}: ConfigSources): Config {
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
  if (taken.has('mongoUri')) refuseMisnamedPlaces(environment);
  if (taken.has('offline')) checkHubVariables(environment);
  checkTogether(config, { command, environment });
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
  const result = spec.schema.safeParse(text);
  if (result.success) return result.data;
  return refuse(
    result.error.issues.find(({ code, message }) => code === 'custom' && message !== 'Invalid input')?.message,
  );
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
