/** Options: which jobs and webhooks are listed or changed. */
import { ERROR_CODES, type ErrorCode } from '../../errors/error-codes.ts';
import { option, type OptionSpec } from './option-spec.ts';
import { oneOf, onOrOff, text, timeSpan, wholeNumber } from './value-types.ts';

const ERROR_CODE_NAMES = Object.keys(ERROR_CODES) as ErrorCode[];

export const SELECTION_OPTIONS = {
  status: option({
    placeholder: '<status>',
    type: oneOf(['pending', 'processing', 'completed', 'error'], {
      queued: 'pending',
      waiting: 'pending',
      running: 'processing',
      active: 'processing',
      done: 'completed',
      finished: 'completed',
      succeeded: 'completed',
      success: 'completed',
      failed: 'error',
      failure: 'error',
    }),
    doc: 'Status of the jobs to list or retry: pending, processing, completed or error.',
    allowed: 'pending, processing, completed or error',
    commands: ['jobs'],
    actions: ['list', 'retry'],
  }),
  state: option({
    placeholder: '<state>',
    type: oneOf(['pending', 'delivered', 'dead'], { failed: 'dead', error: 'dead', sent: 'delivered', due: 'pending' }),
    doc: 'State of the webhooks to list: pending, delivered or dead.',
    allowed: 'pending, delivered or dead',
    commands: ['webhooks'],
    actions: ['list'],
  }),
  limit: option({
    placeholder: '<n>',
    type: wholeNumber({ min: 1, max: 1_000_000 }),
    default: '50',
    doc: 'Most jobs or webhooks to list.',
    allowed: 'a whole number from 1 to 1000000',
    commands: ['jobs', 'webhooks'],
    actions: ['list'],
  }),
  after: option({
    placeholder: '<cursor>',
    type: text,
    doc: 'List the jobs after this one: its cursor from "text2img jobs list --json".',
    allowed: 'a cursor that "jobs list --json" printed',
    commands: ['jobs'],
    actions: ['list'],
  }),
  code: option({
    placeholder: '<code>',
    type: oneOf(ERROR_CODE_NAMES),
    doc: 'Retry the jobs that ended with this error code, such as store_failed.',
    allowed: 'an error code such as store_failed; docs/errors.md lists them',
    commands: ['jobs'],
    actions: ['retry'],
  }),
  olderThan: option({
    placeholder: '<time>',
    type: timeSpan,
    doc: 'Retry the jobs that ended at least this long ago, such as 90s, 30min, 1h or 2d.',
    allowed: 'a number with s, min, h or d, such as 1h',
    commands: ['jobs'],
    actions: ['retry'],
  }),
  dryRun: option({
    type: onOrOff,
    default: 'off',
    doc: 'Count the jobs that match, and retry none.',
    allowed: 'on or off',
    commands: ['jobs'],
    actions: ['retry'],
  }),
  now: option({
    type: onOrOff,
    default: 'off',
    doc: 'Send pending webhooks now, although their next attempt is later.',
    allowed: 'on or off',
    commands: ['webhooks'],
    actions: ['deliver'],
  }),
  adopt: option({
    type: onOrOff,
    default: 'off',
    doc: 'Take over existing images under the names of this job, and replace them. Use it after you renamed a collection.',
    allowed: 'on or off',
    commands: ['jobs'],
    actions: ['retry'],
  }),
  force: option({
    type: onOrOff,
    default: 'off',
    doc: 'Retry a job that is processing and that no worker can claim.',
    allowed: 'on or off',
    commands: ['jobs'],
    actions: ['retry'],
  }),
} as const satisfies Record<string, OptionSpec>;
