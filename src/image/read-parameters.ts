/**
 * Reads the settings in a PNG, for `generate --from`.
 */
import { Text2ImgError } from '../errors/text2img-error.ts';
import { type ParsedParameters, parseGenerationParameters } from './parameters-text.ts';
import { readPngChunks } from './png-chunks.ts';
import { findText } from './png-text.ts';

/** The text itself. @throws `unreadable_file` when it is no PNG, is damaged, or has no generation parameters */
export function readParametersText(png: Uint8Array): string {
  const text = findText(readPngChunks(png), 'parameters');
  if (text !== undefined) return text;
  throw new Text2ImgError('unreadable_file', 'The PNG file has no generation parameters (no text chunk "parameters").');
}

/** @throws `unreadable_file` as above, and when a value makes no sense */
export function readGenerationParameters(png: Uint8Array): ParsedParameters {
  return parseGenerationParameters(readParametersText(png));
}
