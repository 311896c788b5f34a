/**
 * Parses the arguments, runs the command, and returns its exit code. Each command's code is loaded when it is asked for, and
 * nothing here loads a package: `test/e2e/start-up.test.ts` lists what each command may load.
 */
import type { QueueMode } from '../config/mode.ts';
import { EXIT_CODE_OF_FAULT } from '../errors/error-codes.ts';
import { Text2ImgError } from '../errors/text2img-error.ts';
import type { CommandContext, ExitCode, Given, QueueContext } from './command-context.ts';
import { ownNameIn } from './own-name.ts';
import type { Invocation } from './program.ts';
import { stopWasAsked } from './signals.ts';
import { Terminal } from './terminal.ts';

/** A reader of results may stop for a while (a pager, a slow disk). The program waits this long for one that takes nothing. */
const RESULTS_PATIENCE_MS = 60_000;
/** After a signal, and for the log, there is less time: a stop has to be over a few seconds after the grace period. */
const SHORT_PATIENCE_MS = 1000;

/** @returns the exit code, when the output has been read or its reader took too long. Nobody waits for work that is still open then. Never throws */
export async function main(given: Given): Promise<ExitCode> {
  const terminal = new Terminal({
    stdout: process.stdout,
    stderr: process.stderr,
    nowMs: () => performance.now(),
    environment: given.environment,
  });
  endOnBugs(terminal, given);
  const exitCode = await runProgram(given, terminal);
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

/** Reports an error that nobody caught like every other bug, not as Node does. */
function endOnBugs(terminal: Terminal, given: Given): void {
  let isEnding = false;
  process.on('uncaughtException', (error) => {
    if (isEnding) process.exit(EXIT_CODE_OF_FAULT.bug);
    isEnding = true;
    void tell(error, terminal, given)
      .then((exitCode) => end(terminal, exitCode))
      .then((code) => process.exit(code));
  });
}

async function tell(error: unknown, terminal: Terminal, given: Given): Promise<ExitCode> {
  const { report } = await import('./report.ts');
  return report(error, terminal, given);
}

async function runProgram(given: Given, terminal: Terminal): Promise<ExitCode> {
  try {
    const { args } = given;
    if (args.length === 1 && (args[0] === '--version' || args[0] === '-V')) return await printVersion(terminal);
    if (args[0] === 'health') {
      const { quickHealth } = await import('./quick-health.ts');
      const exitCode = await quickHealth(given, terminal);
      if (exitCode !== undefined) return exitCode;
    }
    const { parseArguments } = await import('./program.ts');
    const invocation = await parseArguments(args, ownNameIn(given.environment));
    return typeof invocation === 'number'
      ? invocation
      : await runCommand(invocation, { terminal, environment: given.environment });
  } catch (error) {
    return tell(error, terminal, given);
  }
}

async function printVersion(terminal: Terminal): Promise<ExitCode> {
  const { VERSION } = await import('../version.ts');
  terminal.result(VERSION);
  return 0;
}

async function runCommand(
  invocation: Invocation,
  { terminal, environment }: Pick<CommandContext, 'terminal' | 'environment'>,
): Promise<ExitCode> {
  const { command, flags, spellings } = invocation;
  const { loadConfig } = await import('../config/load.ts');
  const { config, mode } = await loadConfig({ command, flags, spellings, environment });
  const { createLogger } = await import('../observability/logger.ts');
  const isJson = config.logFormat === 'json';
  let isForFile = false;
  using logger = createLogger({
    level: config.logLevel,
    logFile: config.logFile,
    format: config.logFormat,
    writeLine: (line) => {
      if (isForFile) return;
      if (isJson) terminal.jsonLine(line);
      else terminal.line(line);
    },
  });
  if (isJson) terminal.speakJson((line) => logger.info(line));
  const { startupWarnings } = await import('../config/startup-warnings.ts');
  for (const { message, fields } of startupWarnings(command, environment)) logger.warning(message, fields);
  try {
    return await dispatch(invocation, { config, environment, logger, terminal }, mode);
  } catch (error) {
    // `report` says it on standard error; the log file is for the one who has to find out why.
    isForFile = true;
    logger.error('command failed', { error });
    throw error;
  }
}

/** Loads only the code that the command needs. */
async function dispatch(
  { command, action, operand }: Invocation,
  context: CommandContext,
  mode: QueueMode | undefined,
): Promise<ExitCode> {
  switch (command) {
    case 'run':
      return (await import('./run.ts')).run(withMode(context, mode));
    case 'generate':
      return (await import('./generate.ts')).generate(context);
    case 'enqueue':
      return (await import('./enqueue.ts')).enqueue(withMode(context, mode), operand);
    case 'jobs':
      return (await import('./jobs.ts')).jobs(withMode(context, mode), { action: action ?? 'list', id: operand ?? '' });
    case 'webhooks':
      return (await import('./webhooks.ts')).webhooks(withMode(context, mode), {
        action: action ?? 'list',
        id: operand,
      });
    case 'models':
      return (await import('./models.ts')).models(context, { action: action ?? 'list', id: operand ?? '' });
    case 'doctor':
      return (await import('./doctor.ts')).doctor(context);
    case 'health':
      return (await import('./health.ts')).health(context);
    case 'serve':
      return (await import('./serve.ts')).serve(withMode(context, mode));
    case 'mcp':
      return (await import('./mcp.ts')).mcp(withMode(context, mode));
    case 'keys':
      return (await import('./keys.ts')).keys(context, { action: action ?? 'list', name: operand ?? '' });
    case 'setup':
      return (await import('./setup.ts')).setup(context, action ?? 'cuda');
  }
}

function withMode(context: CommandContext, mode: QueueMode | undefined): QueueContext {
  if (mode !== undefined) return { ...context, mode };
  throw new Text2ImgError('internal', 'a command with a queue has no mode.');
}
