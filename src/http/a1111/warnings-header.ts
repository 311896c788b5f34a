/** Warnings on their way into a header, which holds printable ASCII and is bounded by proxies to a few thousand bytes. */
import { cut } from '../../lib/foreign-text.ts';

const MAX_LENGTH = 2000;

export function warningsHeader(warnings: readonly string[]): Readonly<Record<string, string>> {
  if (warnings.length === 0) return {};
  const ascii = warnings
    .join(' ')
    .replaceAll(/[’‘]/g, "'")
    .replaceAll(/[^\x20-\x7e]/g, '?');
  return { 'text2img-warnings': cut(ascii, MAX_LENGTH).replaceAll('…', '...') };
}
