/** Warnings about the environment at the start of a command. */
import type { Environment } from './environment.ts';
import { unknownVariables } from './foreign-variables.ts';
import { excerpt } from '../lib/foreign-text.ts';
import { unclearOffline } from './hub.ts';
import type { CommandName } from './options.ts';
import { lacksHome } from './user-folders.ts';

export interface StartupWarning {
  readonly message: string;
  readonly fields: Readonly<Record<string, string>>;
}

const VALUE_LENGTH = 60;

/** They keep models or compiled networks in the user's folders. */
const USE_FOLDERS: ReadonlySet<CommandName> = new Set(['run', 'serve', 'mcp', 'generate', 'models', 'doctor', 'setup']);

export function startupWarnings(command: CommandName, environment: Environment): readonly StartupWarning[] {
  // A health check runs twice a minute, and the worker has said it already.
  if (command === 'health') return [];
  const warnings: StartupWarning[] = [];
  const variables = unknownVariables(environment);
  if (variables !== undefined) warnings.push({ message: 'no option has these variables', fields: { variables } });
  const offline = unclearOffline(environment);
  if (USE_FOLDERS.has(command) && offline !== undefined) {
    warnings.push({
      message: 'this variable has neither 1 nor 0, so the hub is asked; huggingface_hub does the same',
      fields: { variable: offline.variable, value: excerpt(offline.value, VALUE_LENGTH) },
    });
  }
  if (USE_FOLDERS.has(command) && lacksHome(environment)) {
    warnings.push({
      message: 'this user has no home folder: the temporary folder is used instead',
      fields: { advice: 'set HOME to keep models and compiled networks elsewhere' },
    });
  }
  return warnings;
}
