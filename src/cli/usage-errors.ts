/** Errors in the command line, in our words. */
import type { CommanderError } from 'commander';
import { flagNamed, PICTURE } from '../config/options/option-spec.ts';
import { optionNameOf } from '../config/options/request-options.ts';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { fieldOfOtherTools } from '../job/foreign-fields.ts';
import type { FieldTable } from '../job/request-field.ts';
import { REQUEST_FIELDS } from '../job/request-fields.ts';
import { quote } from '../lib/foreign-text.ts';

/** Commander's errors in our words. They never contain a value, which may be a secret behind a mistyped flag. */
export function describeUsageError(error: CommanderError, command: string | undefined): Text2ImgError {
  switch (error.code) {
    case 'commander.unknownOption':
      return new Text2ImgError('unknown_option', describeUnknownOption(error.message, command));
    case 'commander.excessArguments':
    case 'commander.unknownCommand':
      return new Text2ImgError('unknown_option', `${sentenceOf(error)} See "text2img --help".`);
    default:
      return new Text2ImgError('invalid_option', sentenceOf(error));
  }
}

/** A flag is named without what stands behind its `=`; `-pSECRET` only by its letter. */
function describeUnknownOption(message: string, command: string | undefined): string {
  const [, typed = '', suggested] =
    /^error: unknown option '([^]*?)'(?:\n\(Did you mean (--[\w-]+)\?\))?$/.exec(message) ?? [];
  const name = typed.startsWith('--') ? (/^[^=]*/.exec(typed)?.[0] ?? '') : typed.slice(0, 2);
  const meant = suggested ?? flagOfOtherTools(name, command);
  const advice = meant === undefined ? '' : `Did you mean ${meant}? `;
  return `There is no option ${quote(name)}. ${advice}See "text2img --help".`;
}

/** `--n-iter` of another tool is our `--num-images`. */
function flagOfOtherTools(name: string, command: string | undefined): string | undefined {
  const wire = fieldOfOtherTools(name.slice(2).replaceAll('-', '_'));
  const field = Object.values<FieldTable[string]>(REQUEST_FIELDS).find((one) => one.wire === wire);
  const option = field === undefined ? undefined : optionNameOf(field);
  return option !== undefined && PICTURE.some((one) => one === command) ? flagNamed(option) : undefined;
}

function sentenceOf(error: CommanderError): string {
  const sentence = error.message.replace(/^error: /, '').replace(/\.?$/, '.');
  return sentence.charAt(0).toUpperCase() + sentence.slice(1);
}
