/**
 * Every option, once: its values, its default, what it means, and which commands take it. The flag is the name in kebab case, the environment
 * variable is `TEXT2IMG_<NAME>`. The exceptions are names that users have had in their scripts for long (`environment`).
 */
import { type CommandName, flagFor, type OptionSpec, variableOf } from './options/option-spec.ts';
import { IMAGE_FILE_OPTIONS } from './options/image-file-options.ts';
import { LIMIT_OPTIONS } from './options/limit-options.ts';
import { MODEL_OPTIONS } from './options/model-options.ts';
import { OUTPUT_OPTIONS } from './options/output-options.ts';
import { QUEUE_OPTIONS } from './options/queue-options.ts';
import { REQUEST_OPTIONS } from './options/request-options.ts';
import { SERVER_OPTIONS } from './options/server-options.ts';
import { SELECTION_OPTIONS } from './options/selection-options.ts';
import { WEBHOOK_OPTIONS } from './options/webhook-options.ts';
import { WORKER_OPTIONS } from './options/worker-options.ts';

export { COMMANDS, type CommandName, type OptionSpec } from './options/option-spec.ts';

type Table = Readonly<Record<string, OptionSpec>>;

/** The common options of a table, or the rare ones. */
function half(table: Table, isRare: boolean): Table {
  return Object.fromEntries(Object.entries(table).filter(([, spec]) => (spec.isRare ?? false) === isRare));
}

/** How the help and docs/options.md arrange the options. */
export const OPTION_GROUPS: readonly (readonly [heading: string, options: Table])[] = [
  ['Selection', SELECTION_OPTIONS],
  ['Queue and store', QUEUE_OPTIONS],
  ['Server', SERVER_OPTIONS],
  ['Worker', WORKER_OPTIONS],
  ['Webhooks', WEBHOOK_OPTIONS],
  ['Image', half(REQUEST_OPTIONS, false)],
  ['Image, rarely needed', half(REQUEST_OPTIONS, true)],
  ['Files', IMAGE_FILE_OPTIONS],
  ['Model and device', MODEL_OPTIONS],
  ['Limits', LIMIT_OPTIONS],
  ['Output and logs', OUTPUT_OPTIONS],
];

export const OPTIONS = {
  ...SELECTION_OPTIONS,
  ...QUEUE_OPTIONS,
  ...SERVER_OPTIONS,
  ...WORKER_OPTIONS,
  ...WEBHOOK_OPTIONS,
  ...REQUEST_OPTIONS,
  ...IMAGE_FILE_OPTIONS,
  ...MODEL_OPTIONS,
  ...LIMIT_OPTIONS,
  ...OUTPUT_OPTIONS,
} as const satisfies Record<string, OptionSpec>;

export type OptionName = keyof typeof OPTIONS;
export const OPTION_NAMES = Object.keys(OPTIONS) as readonly OptionName[];

type ValueOf<Spec extends OptionSpec> =
  | NonNullable<ReturnType<Spec['type']['parseText']>>
  | (Spec extends { default: string } ? never : undefined);
/** All options; those that a command does not take have their defaults. */
export type Config = { readonly [Name in OptionName]: ValueOf<(typeof OPTIONS)[Name]> };

export function flagOf(name: OptionName): string {
  const spec: OptionSpec = OPTIONS[name];
  return flagFor(name, spec);
}

export function environmentNameOf(name: OptionName): string {
  return variableOf(name, OPTIONS[name]);
}

/** In the order of the groups; one that makes a request has the options of the request first. */
export function optionsOf(command: CommandName): readonly OptionName[] {
  const names = OPTION_NAMES.filter((name) => (OPTIONS[name] as OptionSpec).commands.includes(command));
  if (!names.includes('prompt')) return names;
  const isOfRequest = (name: OptionName): boolean => name in REQUEST_OPTIONS;
  return [...names.filter(isOfRequest), ...names.filter((name) => !isOfRequest(name))];
}
