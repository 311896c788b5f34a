/**
 * What every command gets: its configuration, its log, the terminal.
 */
import type { Config } from '../config/options.ts';
import type { Logger } from '../observability/logger.ts';
import type { Terminal } from './terminal.ts';

export interface CommandContext {
  readonly config: Config;
  readonly logger: Logger;
  readonly terminal: Terminal;
}

/** A command returns its exit code. */
export type ExitCode = number;

/** One result, as JSON with `--json`, else as people read it: one line, or several. */
export function printResult(
  { config, terminal }: CommandContext,
  result: { readonly json: unknown; readonly text: string | readonly string[] },
): void {
  terminal.result(config.json ? JSON.stringify(result.json) : result.text);
}
