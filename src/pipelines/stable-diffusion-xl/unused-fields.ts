/** Sentences about fields that diffusers takes and does not use, because another one is missing. The image is generated as diffusers generates it. */
import type { ResolvedGenerationRequest } from '../../job/generation-request.ts';
import { REQUEST_FIELDS } from '../../job/request-fields.ts';

type Name = 'negativePrompt2' | 'negativeOriginalSize' | 'negativeCropsCoordsTopLeft' | 'negativeTargetSize';

export function unusedFieldWarnings(
  request: ResolvedGenerationRequest,
  { zerosWithoutNegative }: { readonly zerosWithoutNegative: boolean },
): readonly string[] {
  const warnings: string[] = [];
  if (request.negativePrompt === null && zerosWithoutNegative && request.negativePrompt2)
    warnings.push(
      `"${wireOf('negativePrompt2')}" has no effect with this model unless "${REQUEST_FIELDS.negativePrompt.wire}" is given too.`,
    );
  const both = ['negativeOriginalSize', 'negativeTargetSize'] as const;
  if (both.some((name) => request[name] === null)) {
    const stated = ([...both, 'negativeCropsCoordsTopLeft'] as const).filter((name) => request[name] !== null);
    const needed = both.map((name) => `"${wireOf(name)}"`).join(' and ');
    for (const name of stated) warnings.push(`"${wireOf(name)}" has no effect unless ${needed} are both given.`);
  }
  return warnings;
}

function wireOf(name: Name): string {
  return REQUEST_FIELDS[name].wire;
}
