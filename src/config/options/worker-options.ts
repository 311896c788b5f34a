/** Options: how a worker works, and how it is watched. */
import { option, type OptionSpec } from './option-spec.ts';
import { decimalNumber, onOrOff, text, wholeNumber } from './value-types.ts';

export const WORKER_OPTIONS = {
  watch: option({
    type: onOrOff,
    default: 'off',
    doc: 'Wait for more jobs until SIGTERM, instead of exiting when the queue is empty.',
    allowed: 'on or off',
    commands: ['run'],
  }),
  batchSize: option({
    placeholder: '<n>',
    type: wholeNumber({ min: 1, max: 1024 }),
    default: '10',
    doc: 'Most jobs in one batch.',
    allowed: 'a whole number from 1 to 1024',
    commands: ['run'],
    environment: 'BATCH_SIZE',
  }),
  engines: option({
    placeholder: '<n>',
    type: wholeNumber({ min: 1, max: 1024 }),
    default: '1',
    doc: 'Engines that share the CPU, each with its own cores and jobs. For several GPUs name them with --device.',
    allowed: 'a whole number from 1 to 1024',
    commands: ['run'],
  }),
  // A statement to a database may take a second, and is repeated within half a lease.
  leaseSeconds: option({
    placeholder: '<s>',
    type: decimalNumber({ min: 5, max: 86_400 }),
    default: '60',
    doc: 'Seconds until another worker may take a job that its worker does not renew.',
    allowed: 'a number of seconds from 5 to 86400',
    commands: ['run'],
  }),
  maxAttempts: option({
    placeholder: '<n>',
    type: wholeNumber({ min: 1, max: 1000 }),
    default: '5',
    doc: 'Attempts at a job before it ends in error.',
    allowed: 'a whole number from 1 to 1000',
    commands: ['run'],
  }),
  gracePeriod: option({
    placeholder: '<s>',
    type: decimalNumber({ min: 0, max: 86_400 }),
    default: '25',
    doc: 'Seconds to finish jobs after SIGTERM.',
    allowed: 'a number of seconds from 0 to 86400',
    commands: ['run'],
  }),
  heartbeatFile: option({
    placeholder: '<file>',
    type: text,
    kind: 'path',
    doc: 'Health file. The worker renews it for "text2img health". If omitted, each worker has one in the temporary folder.',
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
  metricsPort: option({
    placeholder: '<port>',
    type: wholeNumber({ min: 0, max: 65_535 }),
    doc: 'Port where Prometheus can scrape /metrics; 0 takes a free one.',
    allowed: 'a port from 0 to 65535',
    commands: ['run'],
  }),
  metricsHost: option({
    placeholder: '<address>',
    type: text,
    default: '127.0.0.1',
    doc: 'Address that --metrics-port listens on. The metrics ask for no key.',
    allowed: 'an address of this machine',
    commands: ['run'],
  }),
  failOnError: option({
    type: onOrOff,
    default: 'off',
    doc: 'Exit with 3 if a job ended in error.',
    allowed: 'on or off',
    commands: ['run'],
  }),
} as const satisfies Record<string, OptionSpec>;
