/** Reports that the program failed: one sentence with its code. With `--json` it prints JSON too, and for a bug in text2img the stack. */
import { environmentNameOf, flagOf, OPTIONS } from '../config/options.ts';
import { EXIT_CODE_OF_FAULT } from '../errors/error-codes.ts';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { excerpt } from '../lib/foreign-text.ts';
import { withoutSecrets } from '../lib/secrets.ts';
import { createLogger } from '../observability/logger.ts';
import type { ExitCode, Given } from './command-context.ts';
import { VALUE_FLAGS } from './flag-names.ts';
import { jsonLine } from './json-output.ts';
import type { Terminal } from './terminal.ts';

const STACK_LINES = 40;
const STACK_LINE_LENGTH = 300;

/** @param given says whether the error is wanted as JSON */
export function report(thrown: unknown, terminal: Terminal, given: Given): ExitCode {
  const error = Text2ImgError.from(thrown);
  const wanted = wantedBy(given);
  if (wanted.json) terminal.result(jsonLine({ error: { code: error.code, message: error.message } }));
  if (wanted.jsonLog) tellAsJson(error, terminal);
  else tellPeople(error, terminal);
  return EXIT_CODE_OF_FAULT[error.fault];
}

function tellAsJson(error: Text2ImgError, terminal: Terminal): void {
  using logger = createLogger({ level: 'ERROR', format: 'json', writeLine: (line) => terminal.jsonLine(line) });
  logger.error('command failed', { error });
}

function tellPeople(error: Text2ImgError, terminal: Terminal): void {
  terminal.line(`text2img: ${asSentence(error.message)} [${error.code}]`);
  if (error.fault === 'bug') {
    terminal.line(stackLines(error));
    terminal.line('This is a bug of text2img; please report it with the lines above.');
  }
}

/** Messages begin small, because most follow a code or a name elsewhere. A first word that may be somebody's name stays as it is. */
function asSentence(message: string): string {
  return /^[a-z]+ /.test(message) ? message.charAt(0).toUpperCase() + message.slice(1) : message;
}

function stackLines(error: Text2ImgError): string[] {
  const cause = error.cause instanceof Error ? error.cause : error;
  const lines = (cause.stack ?? cause.message).split('\n').slice(0, STACK_LINES);
  return lines.map((line) => excerpt(withoutSecrets(line), STACK_LINE_LENGTH));
}

interface Wanted {
  readonly json: boolean;
  readonly jsonLog: boolean;
}

/** Read without the rest of the configuration, because that may be what failed. */
function wantedBy({ args, environment }: Given): Wanted {
  const given = (name: 'json' | 'logFormat'): string => environment[environmentNameOf(name)] ?? '';
  let json = OPTIONS.json.type.parseText(given('json')) === true;
  let logFormat = given('logFormat');
  const flag = flagOf('logFormat');
  for (let index = 0; index < args.length && args[index] !== '--'; index++) {
    const arg = args[index] as string;
    if (arg === flag) logFormat = args[index + 1] ?? '';
    else if (arg.startsWith(`${flag}=`)) logFormat = arg.slice(flag.length + 1);
    if (VALUE_FLAGS.has(arg)) index++;
    else if (arg === '--json') json = true;
    else if (arg === '--no-json') json = false;
  }
  return { json, jsonLog: OPTIONS.logFormat.type.parseText(logFormat) === 'json' };
}
