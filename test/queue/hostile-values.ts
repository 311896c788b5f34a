/** Random values for what a stranger may have put where the service keeps its own state. */
import fc from 'fast-check';

/** Names that a look-up may stumble over, and those that the service uses. */
const NAMES = [
  'token',
  'owner',
  'run_id',
  'attempts',
  'resume',
  'awaits_retry',
  'previous_died',
  'progress',
  'step',
  'steps',
  'parameters',
  'warnings',
  'hooks',
  'id',
  'state',
  'due',
  'body',
  'proof',
  'last_error',
  '__proto__',
  'constructor',
  'toString',
  'valueOf',
  'toJSON',
  'hasOwnProperty',
] as const;

const LEAVES = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.constantFrom(
    '',
    'pending',
    'processing',
    'dead',
    '\u001b[2J',
    '\u009b31m',
    '\u202e',
    '$status',
    'x'.repeat(20_000),
  ),
  fc.constantFrom(null, true, 0, -1, 5, 1e15, -1e6, 0.5, 1e300, 2 ** 53),
);

/** JSON, two or three levels deep. */
export const hostileJson: fc.Arbitrary<unknown> = fc.letrec<{ value: unknown; node: unknown }>((tie) => ({
  value: fc.oneof({ maxDepth: 3, withCrossShrink: true }, LEAVES, tie('node')),
  node: fc.oneof(
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(fc.oneof(fc.constantFrom(...NAMES), fc.string({ maxLength: 5 })), tie('value'), { maxKeys: 4 }),
  ),
})).value;

/** The fields of a document, ours among them, each with anything in it. */
export const hostileFields: fc.Arbitrary<Readonly<Record<string, unknown>>> = fc.dictionary(
  fc.constantFrom(
    'text',
    'status',
    'job',
    'error',
    'image_url',
    'image_urls',
    'seed',
    'priority',
    'completed_at',
    'error_at',
    'mine',
    '__proto__',
  ),
  hostileJson,
  { maxKeys: 8 },
);
