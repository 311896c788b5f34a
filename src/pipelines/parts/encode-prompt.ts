/**
 * From a prompt to its embeddings: tokens, the text encoder, and the sentence about text that was cut off.
 * Source: diffusers pipelines/stable_diffusion/pipeline_stable_diffusion.py, encode_prompt.
 */
import { quote } from '../../lib/foreign-text.ts';
import { notFinite } from './check-image.ts';
import type { ClipTokenizer } from './clip-tokenizer.ts';
import type { EncodedText, TextEncoder } from './networks.ts';

/** How much of a cut prompt's rest its warning quotes. */
const CUT_TEXT_LENGTH = 300;

export interface PromptEncoder {
  readonly tokenizer: ClipTokenizer;
  readonly textEncoder: TextEncoder;
  /** In float32, where `textEncoder` computes in less: a prompt that overflowed is encoded again. */
  readonly fullPrecision?: () => Promise<TextEncoder>;
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
  { tokenizer, textEncoder, fullPrecision }: PromptEncoder,
  { text, what, skippedLayers, warnings, signal }: PromptText,
): Promise<EncodedText> {
  const { inputIds, cutText } = tokenizer.tokenize(text);
  if (cutText !== undefined)
    warn(
      warnings,
      `The ${what} was cut because CLIP reads at most ${tokenizer.maxTokens} tokens; left out: ${quote(cutText, CUT_TEXT_LENGTH)}`,
    );
  const whose = `the text encoder’s result for the ${what}`;
  const faultOf = ({ hiddenStates, pooled }: EncodedText) =>
    notFinite(hiddenStates, whose) ?? (pooled === undefined ? undefined : notFinite(pooled, whose));
  const encoded = await textEncoder.encode(inputIds, skippedLayers, signal);
  const fault = faultOf(encoded);
  if (fault === undefined) return encoded;
  if (fullPrecision === undefined) throw fault;
  const again = await (await fullPrecision()).encode(inputIds, skippedLayers, signal);
  const lastFault = faultOf(again);
  if (lastFault !== undefined) throw lastFault;
  warn(warnings, `The ${what} was encoded again in float32, because the result in lower precision was not finite.`);
  return again;
}

/** Two text encoders of one prompt have the same to say. */
function warn(warnings: string[], sentence: string): void {
  if (!warnings.includes(sentence)) warnings.push(sentence);
}
