/**
 * Parses the arguments, runs the command, and turns whatever happens into an exit code.
 */
import { CommanderError } from 'commander';
import { loadConfig, readSecrets } from '../config/parse.ts';
import { startupWarnings } from '../config/startup-warnings.ts';
import { EXIT_CODE_OF_FAULT } from '../errors/error-codes.ts';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { createLogger } from '../observability/logger.ts';
import type { CommandContext, ExitCode } from './command-context.ts';
import { buildProgram, type Invocation } from './program.ts';
import { describeUsageError, report } from './report.ts';
import { stopWasAsked } from './signals.ts';
import { Terminal } from './terminal.ts';

/** A reader of results may stop for a while (a pager, a slow disk); one that takes nothing for this long is given up. */
const RESULTS_PATIENCE_MS = 60_000;
/** After a signal, and for the log, there is less time: a stop has to be over a few seconds after the grace period. */
const SHORT_PATIENCE_MS = 1000;

/**
 * @param args what stands behind the program's name
 * @returns the exit code, when the output has been read or given up; whatever is still open then is nobody's any more. Never throws
 */
export async function main(args: readonly string[]): Promise<ExitCode> {
  const terminal = new Terminal({ stdout: process.stdout, stderr: process.stderr, nowMs: () => performance.now() });
  endOnBugs(terminal, args);
  const exitCode = await runProgram(args, terminal);
  return end(terminal, exitCode);
}

async function end(terminal: Terminal, exitCode: ExitCode): Promise<ExitCode> {
  terminal[Symbol.dispose]();
  await terminal.flush({
    resultsMs: stopWasAsked() ? SHORT_PATIENCE_MS : RESULTS_PATIENCE_MS,
    linesMs: SHORT_PATIENCE_MS,
  });
  const { lostResults } = terminal;
  return exitCode === 0 && lostResults !== undefined ? EXIT_CODE_OF_FAULT[lostResults.fault] : exitCode;
}

/** What nobody caught is told like every other bug, not as Node tells it. */
function endOnBugs(terminal: Terminal, args: readonly string[]): void {
  let isEnding = false;
  process.on('uncaughtException', (error) => {
    if (isEnding) process.exit(EXIT_CODE_OF_FAULT.bug);
    isEnding = true;
    const exitCode = report(Text2ImgError.from(error), terminal, args);
    void end(terminal, exitCode).then((code) => process.exit(code));
  });
}

async function runProgram(args: readonly string[], terminal: Terminal): Promise<ExitCode> {
  let exitCode: ExitCode = 0;
  try {
    const program = buildProgram(async (invocation) => {
      exitCode = await runCommand(invocation, terminal);
    });
    await program.parseAsync(args, { from: 'user' });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return 0;
    const known = error instanceof CommanderError ? describeUsageError(error) : Text2ImgError.from(error);
    return report(known, terminal, args);
  }
}

async function runCommand(invocation: Invocation, terminal: Terminal): Promise<ExitCode> {
  const config = loadConfig({ ...invocation, secrets: await readSecrets(invocation) });
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
      return (await import('../app/run-worker.ts')).run(context);
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
