/** Options: how a worker works, and how it is watched. */
import { option, type OptionSpec } from './option-spec.ts';
import { decimalNumber, onOrOff, text, wholeNumber } from './value-types.ts';

export const WORKER_OPTIONS = {
  watch: option({
    type: onOrOff,
    default: 'off',
    doc: 'Keep waiting for prompts until SIGTERM, instead of ending when the queue is drained.',
    allowed: 'on or off',
    commands: ['run'],
  }),
  batchSize: option({
    placeholder: '<n>',
    type: wholeNumber({ min: 1, max: 1024 }),
    default: '10',
    doc: 'Most prompts drawn together, where the engine can.',
    allowed: 'a whole number from 1 to 1024',
    commands: ['run'],
    environment: 'BATCH_SIZE',
  }),
  // A statement to a database may take a second, and is repeated within half a lease.
  leaseSeconds: option({
    placeholder: '<s>',
    type: decimalNumber({ min: 5, max: 86_400 }),
    default: '60',
    doc: 'How long a claim holds without a heartbeat.',
    allowed: 'a number of seconds from 5 to 86400',
    commands: ['run'],
  }),
  maxAttempts: option({
    placeholder: '<n>',
    type: wholeNumber({ min: 1, max: 1000 }),
    default: '5',
    doc: 'Attempts at a prompt before it ends in error.',
    allowed: 'a whole number from 1 to 1000',
    commands: ['run'],
  }),
  gracePeriod: option({
    placeholder: '<s>',
    type: decimalNumber({ min: 0, max: 86_400 }),
    default: '25',
    doc: 'After SIGTERM, how long to go on with what can be finished.',
    allowed: 'a number of seconds from 0 to 86400',
    commands: ['run'],
  }),
  heartbeatFile: option({
    placeholder: '<file>',
    type: text,
    kind: 'path',
    doc: 'File that is touched while the worker’s loop turns, for "text2img health".',
    allowed: 'a file',
    commands: ['run', 'health'],
  }),
  maxAge: option({
    placeholder: '<s>',
    type: decimalNumber({ min: 1, max: 86_400 }),
    default: '120',
    doc: 'Maximum age of the health file, in seconds.',
    allowed: 'a number of seconds from 1 to 86400',
    commands: ['health'],
  }),
  failOnError: option({
    type: onOrOff,
    default: 'off',
    doc: 'Exit with 3 when a prompt ended in error.',
    allowed: 'on or off',
    commands: ['run'],
  }),
} as const satisfies Record<string, OptionSpec>;
