/** Errors in the command line, in our words. */
import type { CommanderError } from 'commander';
import { COMMANDS, OPTIONS, type OptionSpec, optionsOf } from '../config/options.ts';
import { flagNamed, PICTURE } from '../config/options/option-spec.ts';
import { optionNameOf } from '../config/options/request-options.ts';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { fieldOfOtherTools } from '../job/foreign-fields.ts';
import type { FieldTable } from '../job/request-field.ts';
import { REQUEST_FIELDS } from '../job/request-fields.ts';
import { quote } from '../lib/foreign-text.ts';
import { nearestName } from '../lib/nearest-name.ts';
import { aliasesOf, SIZE_FLAG, takesSize } from './flag-names.ts';

/** The command that was typed; `run` where none was named. */
export interface TypedCommand {
  readonly command: string;
  /** `jobs show` */
  readonly path: string;
  /** A line to type, where the help has one: `text2img jobs show 65f1c0ff`. */
  readonly example: string | undefined;
}

/** Commander's errors in our words. They never contain a value, which may be a secret behind a mistyped flag. */
export function describeUsageError(error: CommanderError, typed: TypedCommand): Text2ImgError {
  const help = `See "text2img ${typed.path} --help".`;
  switch (error.code) {
    case 'commander.unknownOption':
      return new Text2ImgError('unknown_option', `${describeUnknownOption(error.message, typed.command)} ${help}`);
    case 'commander.missingArgument':
      return new Text2ImgError('invalid_option', `${describeMissingOperand(error.message, typed)} ${help}`);
    case 'commander.optionMissingArgument':
      return new Text2ImgError('invalid_option', `${describeMissingValue(error.message)} ${help}`);
    default:
      return new Text2ImgError('invalid_option', `${sentenceOf(error)} ${help}`);
  }
}

/** `error: missing required argument 'id'` */
function describeMissingOperand(message: string, { path, example }: TypedCommand): string {
  const [, name = 'argument'] = /'([^']*)'/.exec(message) ?? [];
  return `The command "${path}" needs <${name}>${example === undefined ? '' : `: ${example}`}.`;
}

/** `error: option '-s, --seed <n>' argument missing` */
function describeMissingValue(message: string): string {
  const [, flags = ''] = /'([^']*)'/.exec(message) ?? [];
  return `There is no value after the option: ${flags}.`;
}

/** A flag is named without what stands behind its `=`; `-pSECRET` only by its letter. */
function describeUnknownOption(message: string, command: string): string {
  const [, typed = '', suggested] =
    /^error: unknown option '([^]*?)'(?:\n\(Did you mean (--[\w-]+)\?\))?$/.exec(message) ?? [];
  const name = typed.startsWith('--') ? (/^[^=]*/.exec(typed)?.[0] ?? '') : typed.slice(0, 2);
  const meantLetter = lettersOf(command).find((letter) => letter.toLowerCase() === name.toLowerCase());
  if (meantLetter !== undefined) return `There is no option ${quote(name)}. Did you mean ${meantLetter}?`;
  const near = nearestFlag(name, [...(suggested === undefined ? [] : [suggested]), ...otherSpellings(command)]);
  const meant = suggested === undefined ? (flagOfOtherTools(name, command) ?? near) : (near ?? suggested);
  return `There is no option ${quote(name)}.${meant === undefined ? '' : ` Did you mean ${meant}?`}`;
}

/** The two dashes are no letters that could be right: they would let `--file` be `--size`. */
function nearestFlag(name: string, flags: readonly string[]): string | undefined {
  const near = nearestName(
    name.slice(2),
    flags.map((flag) => flag.slice(2)),
  );
  return near === undefined ? undefined : `--${near}`;
}

/** `-W` and the like, and that of the version. */
function lettersOf(command: string): readonly string[] {
  const known = COMMANDS.find((one) => one === command) ?? 'run';
  const specs: readonly OptionSpec[] = optionsOf(known).map((name) => OPTIONS[name]);
  return ['-V', ...specs.flatMap(({ short }) => short ?? [])];
}

/** Flags that the help leaves out, so commander does not suggest them. */
function otherSpellings(command: string): readonly string[] {
  const known = COMMANDS.find((one) => one === command) ?? 'run';
  return [...optionsOf(known).flatMap(aliasesOf), ...(takesSize(known) ? [SIZE_FLAG] : [])];
}

/** `--n-iter` of another tool is our `--num-images`. */
function flagOfOtherTools(name: string, command: string): string | undefined {
  const wire = fieldOfOtherTools(name.slice(2).replaceAll('-', '_'));
  const field = Object.values<FieldTable[string]>(REQUEST_FIELDS).find((one) => one.wire === wire);
  const option = field === undefined ? undefined : optionNameOf(field);
  return option !== undefined && PICTURE.some((one) => one === command) ? flagNamed(option) : undefined;
}

function sentenceOf(error: CommanderError): string {
  const sentence = error.message.replace(/^error: /, '').replace(/\.?$/, '.');
  return sentence.charAt(0).toUpperCase() + sentence.slice(1);
}
