/**
 * The options that bound and complete a request, in the shapes that `job/` asks for.
 */

import { optionNameOf, requestValues } from '../config/options/request-options.ts';
import { type Config, OPTION_NAMES } from '../config/options.ts';
import { nameInUse } from '../config/parse.ts';
import { refuseTogether, withoutDisplaced } from '../job/alternatives.ts';
import type { GenerationDefaults } from '../job/generation-request.ts';
import type { PromptLimits } from '../job/limits.ts';
import type { FieldTable, SomeValues } from '../job/request-field.ts';
import { REQUEST_FIELDS } from '../job/request-fields.ts';
import { own } from '../lib/foreign-record.ts';

export function limitsOf({ maxSteps, maxPixels, maxImages, maxPromptBytes }: Config): PromptLimits {
  return { maxSteps, maxPixels, maxImages, maxPromptBytes };
}

/**
 * The values that the options give, where a variable's gives way to a flag's that takes its place.
 * @throws `invalid_parameter` for flags, or variables, that exclude each other
 */
export function statedValues<Table extends FieldTable>(table: Table, config: Config): SomeValues<Table> {
  const values = requestValues(table, config);
  const isFlag = (name: string): boolean => {
    const field = own(table, name);
    const option = field === undefined ? undefined : OPTION_NAMES.find((one) => one === optionNameOf(field));
    return option !== undefined && nameInUse(config, option).startsWith('--');
  };
  const entries = Object.entries<unknown>(values);
  const byFlag = Object.fromEntries(entries.filter(([name]) => isFlag(name)));
  const byVariable = Object.fromEntries(entries.filter(([name]) => !isFlag(name)));
  refuseTogether(byFlag);
  refuseTogether(byVariable);
  // Some of the options' values, which have the types of their fields.
  return { ...withoutDisplaced(byVariable, byFlag), ...byFlag } as unknown as SomeValues<Table>;
}

/** The values that `run` takes for documents that leave them out. It has no flags for values that belong to one job. */
export function defaultsOf(config: Config): GenerationDefaults {
  return statedValues(REQUEST_FIELDS, config);
}
