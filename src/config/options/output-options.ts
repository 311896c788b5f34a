/** Options: what is printed and logged. */
import { COMMANDS, option, type OptionSpec } from './option-spec.ts';
import { logFormat, logLevel, onOrOff, text } from './value-types.ts';

export const OUTPUT_OPTIONS = {
  json: option({
    type: onOrOff,
    default: 'off',
    doc: 'Print results as JSON on standard output.',
    allowed: 'on or off',
    commands: COMMANDS,
  }),
  logFile: option({
    placeholder: '<file>',
    type: text,
    kind: 'path',
    doc: 'Append the log to this file, as JSON lines.',
    allowed: 'a file',
    commands: COMMANDS,
    environment: 'LOG_FILE',
  }),
  logFormat: option({
    placeholder: '<format>',
    type: logFormat,
    default: 'text',
    doc: 'Log on standard error as text or as JSON lines.',
    allowed: 'text or json',
    commands: COMMANDS,
  }),
  logLevel: option({
    placeholder: '<level>',
    type: logLevel,
    default: 'INFO',
    doc: 'Lowest level to log: DEBUG, INFO, WARNING, ERROR or CRITICAL.',
    allowed: 'DEBUG, INFO, WARNING, ERROR or CRITICAL',
    commands: COMMANDS,
    environment: 'LOG_LEVEL',
  }),
} as const satisfies Record<string, OptionSpec>;
