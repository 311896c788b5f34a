/** Errors in the command line, in our words. */
import type { CommanderError } from 'commander';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { quote } from '../lib/foreign-text.ts';

/** What commander says, in our words: never a value, which may be a secret behind a mistyped flag. */
export function describeUsageError(error: CommanderError): Text2ImgError {
  switch (error.code) {
    case 'commander.unknownOption':
      return new Text2ImgError('unknown_option', describeUnknownOption(error.message));
    case 'commander.excessArguments':
    case 'commander.unknownCommand':
      return new Text2ImgError('unknown_option', `${sentenceOf(error)} See "text2img --help".`);
    default:
      return new Text2ImgError('invalid_option', sentenceOf(error));
  }
}

/** A flag is named without what stands behind its `=`; `-pSECRET` only by its letter. */
function describeUnknownOption(message: string): string {
  const [, typed = '', suggested] =
    /^error: unknown option '([^]*?)'(?:\n\(Did you mean (--[\w-]+)\?\))?$/.exec(message) ?? [];
  const name = typed.startsWith('--') ? (/^[^=]*/.exec(typed)?.[0] ?? '') : typed.slice(0, 2);
  const advice = suggested === undefined ? '' : `Did you mean ${suggested}? `;
  return `There is no option ${quote(name)}. ${advice}See "text2img --help".`;
}

function sentenceOf(error: CommanderError): string {
  const sentence = error.message.replace(/^error: /, '').replace(/\.?$/, '.');
  return sentence.charAt(0).toUpperCase() + sentence.slice(1);
}
