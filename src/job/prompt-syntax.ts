/**
 * Syntax of web UIs in a prompt: weights, LoRA tags, choices, wildcards and prompts that change on the way. Nothing here reads it, so the model sees
 * its characters, and the user gets a warning.
 */
import { quote } from '../lib/foreign-text.ts';

/** `:1.2`, but not the `:30` of a time or the `:9` of a ratio. */
const WEIGHT = String.raw`(?:(?<!\d):\s*\d{1,4}(?:\.\d{0,9})?|:\s*\d{0,4}\.\d{1,9})\s*`;
/** Bounded, so that the search takes time in proportion to the prompt. */
const INSIDE = '{1,200}?';

const SYNTAX = new RegExp(
  [
    String.raw`\([^()]${INSIDE}${WEIGHT}\)`,
    String.raw`<(?:lora|lyco|hypernet|hypernetwork|embedding):[^<>]${INSIDE}>`,
    String.raw`\{[^{}|]{0,200}\|[^{}]{0,200}\}`,
    String.raw`\[[^\[\]|]{0,200}\|[^\[\]]{0,200}\]`,
    String.raw`\[[^\[\]]${INSIDE}${WEIGHT}\]`,
    String.raw`(?<!\w)__[A-Za-z0-9][\w./*-]{0,80}?__(?!\w)`,
  ].join('|'),
  'gi',
);

/** In a sentence. */
const MAX_NAMED = 3;
const QUOTED_LENGTH = 40;
/** Nobody needs the exact number of more. */
const MAX_COUNTED = 100;

/** @param texts the prompt and what else the model reads. @returns one sentence, or undefined where there is nothing to warn of */
export function promptSyntaxWarning(texts: readonly string[]): string | undefined {
  const found: string[] = [];
  for (const text of texts)
    for (const [syntax] of text.matchAll(SYNTAX)) {
      found.push(syntax);
      if (found.length >= MAX_COUNTED) break;
    }
  if (found.length === 0) return undefined;
  const named = found.slice(0, MAX_NAMED).map((one) => quote(one, QUOTED_LENGTH));
  const more = found.length - named.length;
  const all = `${named.join(', ')}${more === 0 ? '' : ` and ${more} more`}`;
  return `${all} in the prompt: read as plain text, because weights, LoRA tags, choices and wildcards have no effect here.`;
}
