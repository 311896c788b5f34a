/** Options: what is accepted, how the worker works, what is listed and said. */
import { z } from 'zod';
import { COMMANDS, option, PICTURE, type OptionSpec } from './option-spec.ts';
import { decimalNumber, oneOf, onOrOff, text, wholeNumber } from './value-types.ts';

export const WORKER_OPTIONS = {
  // limits on what is accepted
  maxSteps: option({
    placeholder: '<n>',
    schema: wholeNumber({ min: 1 }),
    default: '1000',
    doc: 'Most denoising steps of one prompt.',
    allowed: 'a whole number, at least 1',
    commands: PICTURE,
  }),
  maxPixels: option({
    placeholder: '<n>',
    schema: wholeNumber({ min: 64 }),
    default: '4194304',
    doc: 'Most pixels of one picture (width × height).',
    allowed: 'a whole number, at least 64',
    commands: PICTURE,
  }),
  maxImages: option({
    placeholder: '<n>',
    schema: wholeNumber({ min: 1 }),
    default: '16',
    doc: 'Most pictures of one prompt.',
    allowed: 'a whole number, at least 1',
    commands: PICTURE,
  }),
  maxPromptBytes: option({
    placeholder: '<n>',
    schema: wholeNumber({ min: 0 }),
    default: '65536',
    doc: 'Most UTF-8 bytes of a prompt, and of a negative prompt.',
    allowed: 'a whole number',
    commands: PICTURE,
  }),

  // the worker
  watch: option({
    schema: onOrOff,
    default: 'off',
    doc: 'Keep waiting for prompts until SIGTERM, instead of ending when the queue is drained.',
    allowed: 'on or off',
    commands: ['run'],
  }),
  batchSize: option({
    placeholder: '<n>',
    schema: wholeNumber({ min: 1, max: 1024 }),
    default: '10',
    doc: 'Most prompts drawn together, where the engine can.',
    allowed: 'a whole number from 1 to 1024',
    commands: ['run'],
    environment: 'BATCH_SIZE',
  }),
  // A statement to a database may take a second, and is repeated within half a lease.
  leaseSeconds: option({
    placeholder: '<s>',
    schema: decimalNumber({ min: 5, max: 86_400 }),
    default: '60',
    doc: 'How long a claim holds without a heartbeat.',
    allowed: 'a number of seconds from 5 to 86400',
    commands: ['run'],
  }),
  maxAttempts: option({
    placeholder: '<n>',
    schema: wholeNumber({ min: 1, max: 1000 }),
    default: '5',
    doc: 'Attempts at a prompt before it ends in error.',
    allowed: 'a whole number from 1 to 1000',
    commands: ['run'],
  }),
  gracePeriod: option({
    placeholder: '<s>',
    schema: decimalNumber({ min: 0, max: 86_400 }),
    default: '25',
    doc: 'After SIGTERM, how long to go on with what can be finished.',
    allowed: 'a number of seconds from 0 to 86400',
    commands: ['run'],
  }),
  heartbeatFile: option({
    placeholder: '<file>',
    schema: text,
    kind: 'path',
    doc: 'File that is touched while the worker’s loop turns, for "text2img health".',
    allowed: 'a file',
    commands: ['run', 'health'],
  }),
  maxAge: option({
    placeholder: '<s>',
    schema: decimalNumber({ min: 1, max: 86_400 }),
    default: '120',
    doc: 'Maximum age of the health file, in seconds.',
    allowed: 'a number of seconds from 1 to 86400',
    commands: ['health'],
  }),
  failOnError: option({
    schema: onOrOff,
    default: 'off',
    doc: 'Exit with 3 when a prompt ended in error.',
    allowed: 'on or off',
    commands: ['run'],
  }),

  // jobs list
  status: option({
    placeholder: '<status>',
    schema: oneOf(['pending', 'processing', 'completed', 'error']),
    doc: 'Only jobs in this state.',
    allowed: 'pending, processing, completed or error',
    commands: ['jobs'],
  }),
  limit: option({
    placeholder: '<n>',
    schema: wholeNumber({ min: 1, max: 1_000_000 }),
    default: '50',
    doc: 'Most jobs or webhooks to list.',
    allowed: 'a whole number from 1 to 1000000',
    commands: ['jobs', 'webhooks'],
  }),
  adopt: option({
    schema: onOrOff,
    default: 'off',
    doc: 'With "jobs retry": what lies under the names of the job’s images becomes this job’s, and may be replaced; after a collection was renamed.',
    allowed: 'on or off',
    commands: ['jobs'],
  }),
  force: option({
    schema: onOrOff,
    default: 'off',
    doc: 'With "jobs retry": also a job that is processing and that no worker can claim.',
    allowed: 'on or off',
    commands: ['jobs'],
  }),

  // webhooks list
  state: option({
    placeholder: '<state>',
    schema: oneOf(['pending', 'delivered', 'dead']),
    doc: 'Only webhooks in this state.',
    allowed: 'pending, delivered or dead',
    commands: ['webhooks'],
  }),

  // what is said
  json: option({
    schema: onOrOff,
    default: 'off',
    doc: 'Results as JSON on standard output.',
    allowed: 'on or off',
    commands: COMMANDS,
  }),
  logFile: option({
    placeholder: '<file>',
    schema: text,
    kind: 'path',
    doc: 'Append the log as JSON lines to this file.',
    allowed: 'a file',
    commands: COMMANDS,
    environment: 'LOG_FILE',
  }),
  logLevel: option({
    placeholder: '<level>',
    schema: z
      .string()
      .transform((level) => level.trim().toUpperCase())
      .pipe(oneOf(['DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL'])),
    default: 'INFO',
    doc: 'DEBUG, INFO, WARNING, ERROR or CRITICAL.',
    allowed: 'DEBUG, INFO, WARNING, ERROR or CRITICAL',
    commands: COMMANDS,
    environment: 'LOG_LEVEL',
  }),
} as const satisfies Record<string, OptionSpec>;
