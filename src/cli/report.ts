/** How the program says that it failed: one sentence with its code, with `--json` also as JSON, for a bug of ours with its stack. */
import type { CommanderError } from 'commander';
import { processEnvironment } from '../config/environment.ts';
import { environmentNameOf, flagOf, OPTION_NAMES, OPTIONS, type OptionSpec } from '../config/options.ts';
import { EXIT_CODE_OF_FAULT } from '../errors/error-codes.ts';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { excerpt, quote } from '../lib/foreign-text.ts';
import { withoutSecrets } from '../lib/secrets.ts';
import type { ExitCode } from './command-context.ts';
import type { Terminal } from './terminal.ts';

const STACK_LINES = 40;
const STACK_LINE_LENGTH = 300;

/** @param args the program's arguments, which say whether the error is wanted as JSON */
export function report(error: Text2ImgError, terminal: Terminal, args: readonly string[]): ExitCode {
  if (wantsJson(args)) terminal.result(JSON.stringify({ error: { code: error.code, message: error.message } }));
  terminal.line(`text2img: ${error.message} [${error.code}]`);
  if (error.fault === 'bug') {
    terminal.line(stackLines(error));
    terminal.line('This is a bug of text2img; please report it with the lines above.');
  }
  return EXIT_CODE_OF_FAULT[error.fault];
}

function stackLines(error: Text2ImgError): string[] {
  const cause = error.cause instanceof Error ? error.cause : error;
  const lines = (cause.stack ?? cause.message).split('\n').slice(0, STACK_LINES);
  return lines.map((line) => excerpt(withoutSecrets(line), STACK_LINE_LENGTH));
}

/** Flags that take the next argument as their value: `--prompt --json` asks for a picture of "--json". */
const VALUE_FLAGS: ReadonlySet<string> = new Set(
  OPTION_NAMES.flatMap((name) => {
    const { placeholder, alias }: OptionSpec = OPTIONS[name];
    return placeholder === undefined ? [] : [flagOf(name), ...(alias === undefined ? [] : [alias])];
  }),
);

/** Read without the rest of the configuration, because that may be what failed. */
function wantsJson(args: readonly string[]): boolean {
  const stated = OPTIONS.json.schema.safeParse(processEnvironment()[environmentNameOf('json')] ?? '');
  let wanted = stated.success && stated.data === true;
  for (let index = 0; index < args.length && args[index] !== '--'; index++) {
    const arg = args[index] as string;
    if (VALUE_FLAGS.has(arg)) index++;
    else if (arg === '--json') wanted = true;
    else if (arg === '--no-json') wanted = false;
  }
  return wanted;
}

/** What commander says, in our words: never a value, which may be a secret behind a mistyped flag. */
export function describeUsageError(error: CommanderError): Text2ImgError {
  switch (error.code) {
    case 'commander.unknownOption':
      return new Text2ImgError('unknown_option', describeUnknownOption(error.message));
    case 'commander.excessArguments':
    case 'commander.unknownCommand':
      return new Text2ImgError('unknown_option', `${sentenceOf(error)} See "text2img --help".`);
    // A group without its action: commander would print the help to standard error.
    case 'commander.help':
      return new Text2ImgError(
        'unknown_option',
        'Say which: list, show, retry or cancel for jobs, list, deliver or redrive for webhooks, pull, list or show for models, cuda for setup. See "text2img --help".',
      );
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
