/**
 * From a prompt to its embeddings: tokens, the text encoder, and the sentence about text that was cut off.
 * Source: diffusers pipelines/stable_diffusion/pipeline_stable_diffusion.py, encode_prompt.
 */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { quote } from '../../lib/foreign-text.ts';
import { notFinite } from './check-image.ts';
import type { ClipTokenizer } from './clip-tokenizer.ts';
import type { KeptEmbeddings, KeptKey } from './kept-embeddings.ts';
import type { EncodedText, TextEncoder } from './networks.ts';

/** How much of a cut prompt's rest its warning quotes. */
const CUT_TEXT_LENGTH = 300;

type Precision = KeptKey['precision'];
const PRECISIONS: readonly Precision[] = ['usual', 'full'];

export interface PromptEncoder {
  readonly tokenizer: ClipTokenizer;
  readonly textEncoder: TextEncoder;
  /** In float32, where `textEncoder` computes in less: a prompt that overflowed is encoded again. */
  readonly fullPrecision?: () => Promise<TextEncoder>;
  /** The encoder's own. */
  readonly kept: KeptEmbeddings;
}

export interface PromptText {
  readonly text: string;
  /** For sentences: `prompt`, `negative prompt`. */
  readonly what: string;
  readonly skippedLayers: number;
  /** The job's; sentences are added. */
  readonly warnings: string[];
  readonly signal: AbortSignal;
}

/** @throws `invalid_image`, and what the text encoder throws */
export async function encodePrompt(
  encoder: PromptEncoder,
  { text, what, skippedLayers, warnings, signal }: PromptText,
): Promise<EncodedText> {
  const { tokenizer } = encoder;
  const { inputIds, cutText } = tokenizer.tokenize(text);
  if (cutText !== undefined)
    warn(
      warnings,
      `The ${what} was cut because CLIP reads at most ${tokenizer.maxTokens} tokens; left out: ${quote(cutText, CUT_TEXT_LENGTH)}`,
    );
  const { encoded, precision } = await encodeTokens(encoder, { inputIds, skippedLayers, what, signal });
  if (precision === 'full')
    warn(warnings, `The ${what} was encoded again in float32, because the result in lower precision was not finite.`);
  return encoded;
}

interface Tokens extends Pick<PromptText, 'what' | 'skippedLayers' | 'signal'> {
  readonly inputIds: Int32Array;
}

/** Takes the kept result, else the encoder’s, else the encoder’s in float32. Keeps only a good one. */
async function encodeTokens(
  { textEncoder, fullPrecision, kept }: PromptEncoder,
  { inputIds, skippedLayers, what, signal }: Tokens,
): Promise<{ readonly encoded: EncodedText; readonly precision: Precision }> {
  for (const precision of PRECISIONS) {
    const encoded = kept.find({ inputIds, skippedLayers, precision });
    if (encoded !== undefined) return { encoded, precision };
  }
  const attempt = async (encoder: TextEncoder, precision: Precision): Promise<EncodedText | Text2ImgError> => {
    const encoded = await encoder.encode(inputIds, skippedLayers, signal);
    const fault = faultOf(encoded, what);
    if (fault === undefined) kept.keep({ inputIds, skippedLayers, precision }, encoded);
    return fault ?? encoded;
  };
  const usual = await attempt(textEncoder, 'usual');
  if (!(usual instanceof Text2ImgError)) return { encoded: usual, precision: 'usual' };
  if (fullPrecision === undefined) throw usual;
  const full = await attempt(await fullPrecision(), 'full');
  if (full instanceof Text2ImgError) throw full;
  return { encoded: full, precision: 'full' };
}

function faultOf({ hiddenStates, pooled }: EncodedText, what: string): Text2ImgError | undefined {
  const whose = `the text encoder’s result for the ${what}`;
  return notFinite(hiddenStates, whose) ?? (pooled === undefined ? undefined : notFinite(pooled, whose));
}

/** Two text encoders of one prompt have the same to say. */
function warn(warnings: string[], sentence: string): void {
  if (!warnings.includes(sentence)) warnings.push(sentence);
}
