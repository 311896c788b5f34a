/**
 * Parses the arguments, runs the command, and turns whatever happens into an exit code.
 */
import { CommanderError } from 'commander';
import { loadConfig } from '../config/load.ts';
import { startupWarnings } from '../config/startup-warnings.ts';
import { EXIT_CODE_OF_FAULT } from '../errors/error-codes.ts';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { createLogger } from '../observability/logger.ts';
import type { CommandContext, ExitCode } from './command-context.ts';
import { buildProgram, type Invocation } from './program.ts';
import { Terminal } from './terminal.ts';

/** @param args what stands behind the program's name @returns the exit code; never throws */
export async function main(args: readonly string[]): Promise<ExitCode> {
  using terminal = new Terminal({ stdout: process.stdout, stderr: process.stderr, nowMs: () => performance.now() });
  let exitCode: ExitCode = 0;
  try {
    const program = buildProgram(async (invocation) => {
      exitCode = await runCommand(invocation, terminal);
    });
    await program.parseAsync(args, { from: 'user' });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return 0;
    return report(
      error instanceof CommanderError ? describeUsageError(error) : Text2ImgError.from(error),
      terminal,
      args,
    );
  }
}

async function runCommand(invocation: Invocation, terminal: Terminal): Promise<ExitCode> {
  const config = await loadConfig(invocation);
  using logger = createLogger({
    level: config.logLevel,
    logFile: config.logFile,
    writeLine: (line) => terminal.line(line),
  });
  for (const { message, fields } of startupWarnings(invocation.command)) logger.warning(message, fields);
  const context: CommandContext = { config, logger, terminal };
  try {
    return await dispatch(invocation, context);
  } catch (error) {
    const known = Text2ImgError.from(error);
    // The user reads the sentence below; the log file is for the one who has to find out why.
    if (config.logFile !== undefined)
      logger.error('command failed', { code: known.code, reason: known.message, error: known });
    throw known;
  }
}

/** Loads only the code that the command needs. */
async function dispatch({ command, action, operand }: Invocation, context: CommandContext): Promise<ExitCode> {
  switch (command) {
    case 'run':
      return (await import('./run.ts')).run(context);
    case 'generate':
      return (await import('./generate.ts')).generate(context);
    case 'enqueue':
      return (await import('./enqueue.ts')).enqueue(context, operand);
    case 'jobs':
      return (await import('./jobs.ts')).jobs(context, { action: action ?? 'list', id: operand ?? '' });
    case 'webhooks':
      return (await import('./webhooks.ts')).webhooks(context, { action: action ?? 'list', id: operand });
    case 'models':
      return (await import('./models.ts')).models(context, { action: action ?? 'list', id: operand ?? '' });
    case 'doctor':
      return (await import('./doctor.ts')).doctor(context);
    case 'health':
      return (await import('./health.ts')).health(context);
    case 'setup':
      return (await import('./setup.ts')).setupCuda(context);
  }
}

function describeUsageError(error: CommanderError): Text2ImgError {
  const sentence = error.message.replace(/^error: /, '').replace(/\.?$/, '.');
  switch (error.code) {
    case 'commander.excessArguments':
    case 'commander.unknownCommand':
    case 'commander.unknownOption':
      return new Text2ImgError('unknown_option', `${capitalize(sentence)} See "text2img --help".`);
    // A group without its action: commander would print the help to standard error.
    case 'commander.help':
      return new Text2ImgError(
        'unknown_option',
        'Say which: list, show, retry or cancel for jobs, list, deliver or redrive for webhooks, pull, list or show for models, cuda for setup. See "text2img --help".',
      );
    default:
      return new Text2ImgError('invalid_option', capitalize(sentence));
  }
}

function capitalize(sentence: string): string {
  return sentence.charAt(0).toUpperCase() + sentence.slice(1);
}

/** One sentence and its code; for a bug of ours the stack as well. */
function report(error: Text2ImgError, terminal: Terminal, args: readonly string[]): ExitCode {
  if (args.includes('--json')) terminal.result(JSON.stringify({ error: { code: error.code, message: error.message } }));
  terminal.line(`text2img: ${error.message} [${error.code}]`);
  if (error.fault === 'bug') {
    const cause = error.cause instanceof Error ? error.cause : error;
    terminal.line(`${cause.stack ?? cause.message}\nThis is a bug of text2img; please report it with the lines above.`);
  }
  return EXIT_CODE_OF_FAULT[error.fault];
}
