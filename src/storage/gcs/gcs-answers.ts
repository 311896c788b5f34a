/**
 * Checks that an answer is the bucket's. A log-in page, a proxy or a cache may stand before it, and they also answer 200.
 * An upload counts only if the answer names the object that was sent. A look counts only if the answer names a generation. For any other answer the
 * request is repeated, as after a network fault.
 */
import { z } from 'zod';
import { quote } from '../../lib/foreign-text.ts';

/** Something else answered. The bucket may or may not have carried out the request. */
export class UnbelievableAnswerError extends Error {
  override readonly name = 'UnbelievableAnswerError';

  constructor(what: string, answer: unknown) {
    super(
      `the ${what} was answered by something that is not the bucket, perhaps a proxy or a log-in page: ${quote(answer, 80)}`,
    );
  }
}

/** 64-bit numbers; Google sends them as text. */
const decimal = z.union([z.string().regex(/^\d{1,20}$/), z.number().int().nonnegative().transform(String)]);

const objectSchema = z.object({
  name: z.string(),
  bucket: z.string(),
  generation: decimal.refine((value) => !/^0+$/.test(value)),
  metageneration: decimal.optional().catch(undefined),
  size: decimal.optional(),
  md5Hash: z.string().optional(),
  metadata: z.unknown().optional(),
  temporaryHold: z.boolean().optional().catch(undefined),
  eventBasedHold: z.boolean().optional().catch(undefined),
  retentionExpirationTime: z.string().optional().catch(undefined),
});

export type ObjectAnswer = z.infer<typeof objectSchema>;

/** Which object was asked for. */
interface Place {
  readonly bucket: string;
  readonly name: string;
}

export interface SentObject extends Place {
  /** In base64. */
  readonly md5: string;
  readonly sizeBytes: number;
}

/** @throws `UnbelievableAnswerError` unless the answer describes this object */
export function readObject(what: string, answer: unknown, { bucket, name }: Place): ObjectAnswer {
  const result = objectSchema.safeParse(answer);
  if (!result.success || result.data.name !== name || result.data.bucket !== bucket)
    throw new UnbelievableAnswerError(what, answer);
  return result.data;
}

/** @throws `UnbelievableAnswerError` unless the answer says that exactly these bytes are stored under this name */
export function readUploaded(answer: unknown, sent: SentObject): ObjectAnswer {
  const object = readObject('upload', answer, sent);
  // Some emulators leave the size out; the sum cannot be right for other bytes.
  const isThisSize = object.size === undefined || object.size === String(sent.sizeBytes);
  if (object.md5Hash !== sent.md5 || !isThisSize) throw new UnbelievableAnswerError('upload', answer);
  return object;
}

/** Why nobody may replace or delete this object now; undefined where it says nothing of the kind. @param now milliseconds since 1970 */
export function refusalOf(
  { temporaryHold, eventBasedHold, retentionExpirationTime }: ObjectAnswer,
  now: number,
): string | undefined {
  if (temporaryHold === true || eventBasedHold === true)
    return `it has ${temporaryHold === true ? 'a temporary' : 'an event-based'} hold`;
  if (retentionExpirationTime !== undefined && Date.parse(retentionExpirationTime) > now)
    return `it is retained until ${retentionExpirationTime}`;
  return undefined;
}
