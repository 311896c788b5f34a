/** Rules that join fields of a request. Each field's own range stands in its record. */
import { Text2ImgError } from '../errors/text2img-error.ts';
import { refuseTogether } from './alternatives.ts';
import type { ResolvedGenerationRequest } from './generation-request.ts';
import type { PromptLimits } from './limits.ts';
import type { FieldName } from './request-fields.ts';

type Values = Partial<ResolvedGenerationRequest>;

interface RequestRule {
  /** The rule applies as soon as all of these have a value: in a document that states them, and in every resolved request. */
  readonly needs: readonly FieldName[];
  /** One sentence for docs/requests.md. */
  readonly meaning: string;
  /** It is about what one document or command states. Defaults give way, so that it does not apply to a resolved request. */
  readonly ofStated?: true;
  /** @throws the refusal */
  check(values: Values, limits: PromptLimits): void;
}

function rule<const Name extends FieldName>(
  needs: readonly Name[],
  meaning: string,
  check: (values: Pick<ResolvedGenerationRequest, Name> & Values, limits: PromptLimits) => void,
): RequestRule {
  // `checkRules` calls it only when `needs` are there.
  return { needs, meaning, check };
}

/**
 * A completed job is written into its document, and MongoDB limits a document to 16 MB. The job adds the text once more in the webhook, the other
 * texts in `job.parameters`, and for each image its URLs.
 */
const MAX_RECORD_BYTES = 12 * 1024 * 1024;
const BYTES_PER_IMAGE = 4096;

export const REQUEST_RULES: readonly RequestRule[] = [
  rule(['widthPx', 'heightPx'], 'Width × height is at most `--max-pixels`.', ({ widthPx, heightPx }, { maxPixels }) => {
    if (widthPx * heightPx <= maxPixels) return;
    throw new Text2ImgError(
      'invalid_parameter',
      `"width" × "height" is ${widthPx} × ${heightPx} = ${widthPx * heightPx} pixels; allowed are at most ${maxPixels}.`,
    );
  }),
  rule(
    ['seed', 'numImages'],
    'The seed of the last image, `seed` + `num_images` − 1, is at most 9007199254740991.',
    ({ seed, numImages }) => {
      // In this order: the sum of a large seed and the number would be rounded before 1 is taken away.
      if (Number.isSafeInteger(seed + (numImages - 1))) return;
      throw new Text2ImgError(
        'invalid_parameter',
        `"seed" is ${seed}; with ${numImages} images allowed are whole numbers from 0 to ${Number.MAX_SAFE_INTEGER - numImages + 1}.`,
      );
    },
  ),
  rule(
    ['prompt'],
    'All texts and URLs fit into a MongoDB document when the job is done: about 6 MB of text.',
    (values) => {
      const { numImages = 1 } = values;
      const texts = Object.values(values).filter((value) => typeof value === 'string');
      const textBytes = texts.reduce((bytes, text) => bytes + Buffer.byteLength(text), 0);
      if (2 * textBytes + numImages * BYTES_PER_IMAGE <= MAX_RECORD_BYTES) return;
      throw new Text2ImgError(
        'prompt_too_large',
        `The texts have ${textBytes} bytes, which with "num_images" ${numImages} is more than the document can hold when the job is done.`,
      );
    },
  ),
  {
    needs: [],
    meaning:
      '`num_inference_steps`, `timesteps` and `sigmas` exclude each other in one document or command, and so do `schedule_type` and a list by hand. A default gives way.',
    ofStated: true,
    check: refuseTogether,
  },
];

/** Of a document, as far as it states values. @throws `invalid_parameter`, `prompt_too_large` */
export function checkStated(values: Values, limits: PromptLimits): void {
  checkAll(REQUEST_RULES, values, limits);
}

/** Of a request with every value decided. @throws `invalid_parameter`, `prompt_too_large` */
export function checkRules(values: Values, limits: PromptLimits): void {
  checkAll(
    REQUEST_RULES.filter(({ ofStated }) => ofStated !== true),
    values,
    limits,
  );
}

function checkAll(rules: readonly RequestRule[], values: Values, limits: PromptLimits): void {
  for (const one of rules) {
    if (one.needs.every((name) => values[name] !== undefined)) one.check(values, limits);
  }
}
