/**
 * What was typed, as a command with its flags. `health` runs every half minute in a container, so its plain forms are read here without the package
 * that reads all others; whatever is not plain goes to it, and so does every mistake.
 */
import { flagOf, OPTIONS, type OptionName, type OptionSpec, optionsOf } from '../config/options.ts';
import type { Invocation } from './program.ts';

/** @returns undefined where help was asked for and printed @throws what `program.ts` throws */
export async function readInvocation(args: readonly string[]): Promise<Invocation | undefined> {
  return readHealth(args) ?? (await (await import('./program.ts')).parseArguments(args));
}

/** `health` with whole flags, each at most once; undefined for everything else. */
export function readHealth(args: readonly string[]): Invocation | undefined {
  const [command, ...rest] = args;
  if (command !== 'health') return undefined;
  const names = new Map<string, OptionName>(optionsOf(command).map((name) => [flagOf(name), name]));
  const flags: Partial<Record<OptionName, string | boolean>> = {};
  while (rest.length > 0) {
    const [flag, joined] = splitAtEquals(rest.shift() ?? '');
    const name = names.get(flag);
    if (name === undefined || flags[name] !== undefined) return undefined;
    const isSwitch = (OPTIONS[name] as OptionSpec).placeholder === undefined;
    if (isSwitch && joined !== undefined) return undefined;
    const value = isSwitch ? true : (joined ?? rest.shift());
    if (value === undefined || (joined === undefined && typeof value === 'string' && value.startsWith('-')))
      return undefined;
    flags[name] = value;
  }
  return { command, flags };
}

function splitAtEquals(argument: string): [string, string | undefined] {
  const at = argument.indexOf('=');
  return at === -1 ? [argument, undefined] : [argument.slice(0, at), argument.slice(at + 1)];
}
