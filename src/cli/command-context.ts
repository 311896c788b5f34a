/**
 * The context of every command: its configuration, its log, the terminal.
 */
import type { Environment } from '../config/environment.ts';
import type { QueueMode } from '../config/mode.ts';
import type { Config } from '../config/options.ts';
import type { Logger } from '../observability/logger.ts';
import { jsonLine } from './json-output.ts';
import type { Terminal } from './terminal.ts';

/** The input of the process. */
export interface Given {
  /** The arguments behind the program's name. */
  readonly args: readonly string[];
  readonly environment: Environment;
}

export interface CommandContext {
  readonly config: Config;
  /** The environment of the process. */
  readonly environment: Environment;
  readonly logger: Logger;
  readonly terminal: Terminal;
}

/** Of a command that opens the queue. */
export interface QueueContext extends CommandContext {
  readonly mode: QueueMode;
}

/** A command returns its exit code. */
export type ExitCode = number;

/** One result, as JSON with `--json`, else as people read it: one line, or several. */
export function printResult(
  { config, terminal }: { readonly config: Pick<Config, 'json'>; readonly terminal: Terminal },
  result: { readonly json: unknown; readonly text: string | readonly string[] },
): void {
  if (config.json) terminal.result(jsonLine(result.json));
  else terminal.resultForPeople(result.text);
}
