/** Whether prompts may be added as they are: the fields' ranges, the key's limits, and the names that are the service's own. */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { parsePromptDocument } from '../../job/prompt-document.ts';
import { quote } from '../../lib/foreign-text.ts';
import type { ApiKey } from './caller.ts';
import type { NewPrompt } from './front.ts';
import { type FrontLimits, limitsFor } from './limits.ts';

/** The service writes them. */
const OWN_FIELDS = ['_id', 'job', 'status'] as const;

/** @throws `invalid_document`, `invalid_prompt`, `invalid_parameter`, `prompt_too_large`, `unknown_scheduler` */
export function checkPrompts(
  prompts: readonly NewPrompt[],
  { limits, key }: { readonly limits: FrontLimits; readonly key: ApiKey | undefined },
): void {
  if (prompts.length === 0 || prompts.length > limits.maxPrompts)
    throw new Text2ImgError(
      'invalid_document',
      `The request has ${prompts.length} prompts; allowed are 1 to ${limits.maxPrompts}.`,
    );
  const own = limitsFor(limits, key?.limits);
  let images = 0;
  prompts.forEach(({ document }, index) => {
    try {
      const name = OWN_FIELDS.find((one) => Object.hasOwn(document, one));
      if (name !== undefined)
        throw new Text2ImgError('invalid_document', `The field ${quote(name)} is the service’s own; leave it out.`);
      images += parsePromptDocument(document, own).request.numImages ?? 1;
    } catch (error) {
      if (prompts.length === 1) throw error;
      const { code, message } = Text2ImgError.from(error);
      throw new Text2ImgError(code, `Prompt ${index + 1}: ${message} Nothing was added.`, { cause: error });
    }
  });
  const most = key?.limits.maxImages;
  if (most !== undefined && images > most)
    throw new Text2ImgError(
      'invalid_parameter',
      `The request asks for ${images} images; this API key may ask for ${most}.`,
    );
}
