/** Flags, environment and secret files → frozen Config. */
import type { Environment } from './environment.ts';
import {
  type CommandName,
  type Config,
  flagOf,
  OPTION_NAMES,
  OPTIONS,
  type OptionName,
  type OptionSpec,
  optionsOf,
} from './options.ts';
import { defaultOption, givenOption, parseOption, type RawOption } from './parse-option.ts';
import { type Secrets, secretFileOf } from './secrets.ts';

/** As commander gives them: a text, or true and false for a switch; absent ones are undefined. */
export type Flags = Readonly<Partial<Record<OptionName, string | boolean | undefined>>>;

export interface ConfigSources {
  readonly command: CommandName;
  readonly flags: Flags;
  /** How the user spelled an option's flag, where it is not its own name. */
  readonly spellings?: ReadonlyMap<string, string> | undefined;
  readonly environment: Environment;
  readonly secrets: Secrets;
}

const sources = new WeakMap<Config, ReadonlyMap<OptionName, string>>();

/** How the user gave an option, for errors that come up later: the flag's or the variable's name. */
export function nameInUse(config: Config, name: OptionName): string {
  return sources.get(config)?.get(name) ?? flagOf(name);
}

/** @throws `invalid_option`; for a request's options of `generate` and `enqueue` `invalid_parameter` */
export function parseOptions({ command, flags, spellings, environment, secrets }: ConfigSources): Config {
  const taken = new Set(optionsOf(command));
  const values: [OptionName, unknown][] = [];
  const names = new Map<OptionName, string>();
  for (const name of OPTION_NAMES) {
    const spec: OptionSpec = OPTIONS[name];
    const given = taken.has(name)
      ? givenOption(name, spec, {
          flag: flags[name],
          spelling: spellings?.get(name),
          environment,
          secret: secretOf(environment, name, secrets),
        })
      : undefined;
    const raw = given ?? defaultOption(name, spec);
    if (raw !== undefined) names.set(name, raw.source);
    values.push([name, raw === undefined ? undefined : parseOption(spec, { command, environment, ...raw })]);
  }
  const config = Object.freeze(Object.fromEntries(values)) as Config;
  sources.set(config, names);
  return config;
}

function secretOf(environment: Environment, name: OptionName, secrets: Secrets): RawOption | undefined {
  const file = secretFileOf(environment, name);
  const value = file === undefined ? undefined : secrets.get(file.variable);
  return file === undefined || value === undefined ? undefined : { source: file.variable, value };
}
