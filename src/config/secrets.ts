/** Reads the secrets of a command from files. */
import { type Environment, stated } from './environment.ts';
import {
  type CommandName,
  environmentNameOf,
  OPTIONS,
  type OptionName,
  type OptionSpec,
  optionsOf,
} from './options.ts';
import { readSecretFile } from './secret-file.ts';
import { expandHome } from './user-folders.ts';

/** The contents of secret files, by the names of their variables. */
export type Secrets = ReadonlyMap<string, string>;

export interface SecretSources {
  readonly command: CommandName;
  /** The command line's values: their secrets are not looked for in files. */
  readonly flags: Readonly<Partial<Record<OptionName, unknown>>>;
  readonly environment: Environment;
}

/** Reads the secret files of the options that the command takes and that nothing else gives. @throws `invalid_option` */
export async function readSecrets({ command, flags, environment }: SecretSources): Promise<Secrets> {
  const secrets = new Map<string, string>();
  for (const name of optionsOf(command)) {
    const file = secretFileOf(environment, name);
    if (file === undefined || flags[name] !== undefined || stated(environment, environmentNameOf(name)) !== undefined)
      continue;
    secrets.set(file.variable, await readSecretFile(file.variable, expandHome(file.path, environment)));
  }
  return secrets;
}

/** The variable that names a file for the option's value, and the file. */
export function secretFileOf(
  environment: Environment,
  name: OptionName,
): { readonly variable: string; readonly path: string } | undefined {
  const variable = `${environmentNameOf(name)}_FILE`;
  const path = (OPTIONS[name] as OptionSpec).secret ? stated(environment, variable) : undefined;
  return path === undefined ? undefined : { variable, path };
}
