/**
 * `text2img health` in its plain forms, without the packages, tables and checks of the other commands: a container runs it every half minute. The
 * full command line handles every other form, and every mistake.
 */
import type { Environment } from '../config/environment.ts';
import { flagNamed, type OptionSpec } from '../config/options/option-spec.ts';
import { OUTPUT_OPTIONS } from '../config/options/output-options.ts';
import { WORKER_OPTIONS } from '../config/options/worker-options.ts';
import { defaultOption, givenOption, parseOption } from '../config/parse-option.ts';
import type { ExitCode, Given } from './command-context.ts';
import { health, type HealthContext } from './health.ts';
import type { Terminal } from './terminal.ts';

/** The options of `health`; `test/cli/quick-health.test.ts` compares them with the table of all options. */
export const HEALTH_OPTIONS = {
  heartbeatFile: WORKER_OPTIONS.heartbeatFile,
  maxAge: WORKER_OPTIONS.maxAge,
  json: OUTPUT_OPTIONS.json,
  logFile: OUTPUT_OPTIONS.logFile,
  logFormat: OUTPUT_OPTIONS.logFormat,
  logLevel: OUTPUT_OPTIONS.logLevel,
} as const satisfies Record<string, OptionSpec>;

type HealthOption = keyof typeof HEALTH_OPTIONS;
type HealthFlags = Partial<Record<HealthOption, string | boolean>>;

/** @returns undefined where it takes the long way @throws what `health` throws, and `invalid_option` */
export async function quickHealth(given: Given, terminal: Terminal): Promise<ExitCode | undefined> {
  const flags = readFlags(given.args);
  if (flags === undefined) return undefined;
  const { environment } = given;
  const config = {
    heartbeatFile: valueOf('heartbeatFile', flags, environment),
    maxAge: valueOf('maxAge', flags, environment) ?? 0,
    json: valueOf('json', flags, environment) ?? false,
  } satisfies HealthContext['config'];
  valueOf('logLevel', flags, environment);
  valueOf('logFormat', flags, environment);
  // An error is to stand in the log file too.
  if (valueOf('logFile', flags, environment) !== undefined) return undefined;
  return health({ config, terminal });
}

function valueOf<Name extends HealthOption>(name: Name, flags: HealthFlags, environment: Environment) {
  const spec = HEALTH_OPTIONS[name];
  const raw = givenOption(name, spec, { flag: flags[name], environment }) ?? defaultOption(name, spec);
  return raw === undefined ? undefined : parseOption(spec, { command: 'health', environment, ...raw });
}

/** Whole flags, each at most once; undefined for everything else. */
export function readFlags(args: readonly string[]): HealthFlags | undefined {
  const [command, ...rest] = args;
  if (command !== 'health') return undefined;
  const names = Object.keys(HEALTH_OPTIONS) as HealthOption[];
  const flags: HealthFlags = {};
  while (rest.length > 0) {
    const [flag, joined] = splitAtEquals(rest.shift() ?? '');
    const name = names.find((one) => flagNamed(one) === flag);
    if (name === undefined || flags[name] !== undefined) return undefined;
    const isSwitch = (HEALTH_OPTIONS[name] as OptionSpec).placeholder === undefined;
    if (isSwitch && joined !== undefined) return undefined;
    const value = isSwitch ? true : (joined ?? rest.shift());
    if (value === undefined || (joined === undefined && typeof value === 'string' && value.startsWith('-')))
      return undefined;
    flags[name] = value;
  }
  return flags;
}

function splitAtEquals(argument: string): [string, string | undefined] {
  const at = argument.indexOf('=');
  return at === -1 ? [argument, undefined] : [argument.slice(0, at), argument.slice(at + 1)];
}
