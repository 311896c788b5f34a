/**
 * One option: a flag beats the environment, an empty variable is unset, and a bad value is refused by name, quoted, with what is allowed. Knows no
 * table, so that `health` reads its few options without the others.
 */
import type { ErrorCode } from '../errors/error-codes.ts';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { quote } from '../lib/foreign-text.ts';
import { own } from '../lib/foreign-record.ts';
import { didYouMean } from '../lib/nearest-name.ts';
import { type Environment, stated } from './environment.ts';
import { type CommandName, flagFor, type OptionSpec, variableOf, WORKING } from './options/option-spec.ts';
import { quoteUrl } from './quote-url.ts';
import { expandHome } from './user-folders.ts';

export interface RawOption {
  /** How the user gave it: the flag's or the variable's name. */
  readonly source: string;
  readonly value: string;
}

export interface OptionSources {
  /** As the command line gives it: a text, or true and false for a switch. */
  readonly flag: string | boolean | undefined;
  /** Another name of the flag, if that was typed. */
  readonly spelling?: string | undefined;
  readonly environment: Environment;
  /** The content of the option's secret file. */
  readonly secret?: RawOption | undefined;
}

/** @returns undefined where nobody gave the option */
export function givenOption(
  name: string,
  spec: OptionSpec,
  { flag, spelling, environment, secret }: OptionSources,
): RawOption | undefined {
  if (flag !== undefined)
    return { source: spelling ?? flagFor(name, spec), value: typeof flag === 'boolean' ? (flag ? 'on' : 'off') : flag };
  const variable = variableOf(name, spec);
  const value = stated(environment, variable);
  return value === undefined ? secret : { source: variable, value };
}

/** @returns undefined where there is no default */
export function defaultOption(name: string, spec: OptionSpec): RawOption | undefined {
  return spec.default === undefined ? undefined : { source: flagFor(name, spec), value: spec.default };
}

export interface ParsedOption extends RawOption {
  readonly command: CommandName;
  readonly environment: Environment;
}

/** @throws `invalid_option`; for a request's options of `generate` and `enqueue` `invalid_parameter` */
export function parseOption<Spec extends OptionSpec>(
  spec: Spec,
  { command, source, value, environment }: ParsedOption,
): NonNullable<ReturnType<Spec['type']['parseText']>> {
  const refuse = (reason: string | undefined): never => {
    const code: ErrorCode = WORKING.some((one) => one === command)
      ? 'invalid_option'
      : (spec.requestFault ?? 'invalid_option');
    const why = reason === undefined ? '' : `: ${reason}`;
    const meant = spec.secret || reason !== undefined ? '' : meantBy(value.trim(), spec);
    // The suggestion comes first: a sentence is cut at its end, and some lists are long.
    const must = meant === '' ? `; it must be ${spec.allowed}.` : `.${meant} It must be ${spec.allowed}.`;
    throw new Text2ImgError(code, `${source} ${shown(spec, value)} is not allowed${why}${must}`);
  };
  const text = prepared(spec, value, environment);
  if (text.trim() === '' && spec.mayBeEmpty !== true) refuse(undefined);
  const control = spec.kind === 'path' || spec.kind === 'text' || spec.secret ? /\0/ : /\p{Cc}/u;
  if (control.test(text)) refuse('it holds a control character');
  const parsed = spec.type.parseText(text) as ReturnType<Spec['type']['parseText']>;
  return parsed ?? refuse(spec.type.reasonAgainst?.(text));
}

function meantBy(value: string, { type }: OptionSpec): string {
  const word = own(type.otherWords ?? {}, value.toLowerCase());
  return word === undefined ? didYouMean(value, type.names ?? []) : ` Did you mean "${word}"?`;
}

function prepared({ kind }: OptionSpec, value: string, environment: Environment): string {
  if (kind === 'text') return value;
  return kind === 'path' ? expandHome(value, environment) : value.trim();
}

/** The value as an error may show it. */
function shown(spec: OptionSpec, value: string): string {
  if (spec.secret) return '(not shown)';
  return spec.kind === 'url' ? quoteUrl(value) : quote(value);
}
