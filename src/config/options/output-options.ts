/** Options: what is listed, changed, printed and logged. */
import { COMMANDS, option, type OptionSpec } from './option-spec.ts';
import { logLevel, oneOf, onOrOff, text, wholeNumber } from './value-types.ts';

export const OUTPUT_OPTIONS = {
  status: option({
    placeholder: '<status>',
    type: oneOf(['pending', 'processing', 'completed', 'error']),
    doc: 'Only jobs in this state.',
    allowed: 'pending, processing, completed or error',
    commands: ['jobs'],
  }),
  state: option({
    placeholder: '<state>',
    type: oneOf(['pending', 'delivered', 'dead']),
    doc: 'Only webhooks in this state.',
    allowed: 'pending, delivered or dead',
    commands: ['webhooks'],
  }),
  limit: option({
    placeholder: '<n>',
    type: wholeNumber({ min: 1, max: 1_000_000 }),
    default: '50',
    doc: 'Most jobs or webhooks to list.',
    allowed: 'a whole number from 1 to 1000000',
    commands: ['jobs', 'webhooks'],
  }),
  after: option({
    placeholder: '<cursor>',
    type: text,
    doc: 'List the jobs behind this one: its "cursor" of "jobs list --json".',
    allowed: 'a cursor that "jobs list --json" printed',
    commands: ['jobs'],
  }),
  adopt: option({
    type: onOrOff,
    default: 'off',
    doc: 'With "jobs retry": what lies under the names of the job’s images becomes this job’s, and may be replaced; after a collection was renamed.',
    allowed: 'on or off',
    commands: ['jobs'],
  }),
  force: option({
    type: onOrOff,
    default: 'off',
    doc: 'With "jobs retry": also a job that is processing and that no worker can claim.',
    allowed: 'on or off',
    commands: ['jobs'],
  }),
  json: option({
    type: onOrOff,
    default: 'off',
    doc: 'Results as JSON on standard output.',
    allowed: 'on or off',
    commands: COMMANDS,
  }),
  logFile: option({
    placeholder: '<file>',
    type: text,
    kind: 'path',
    doc: 'Append the log as JSON lines to this file.',
    allowed: 'a file',
    commands: COMMANDS,
    environment: 'LOG_FILE',
  }),
  logLevel: option({
    placeholder: '<level>',
    type: logLevel,
    default: 'INFO',
    doc: 'DEBUG, INFO, WARNING, ERROR or CRITICAL.',
    allowed: 'DEBUG, INFO, WARNING, ERROR or CRITICAL',
    commands: COMMANDS,
    environment: 'LOG_LEVEL',
  }),
} as const satisfies Record<string, OptionSpec>;
