/** `text2img jobs retry` without an id: all ended jobs of a status, a code and an age. */
import type { Config } from '../config/options.ts';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { omitUndefined } from '../lib/omit-undefined.ts';
import type { PromptQueue, RetrySelection } from '../queue/prompt-queue.ts';
import { type CommandContext, type ExitCode, printResult } from './command-context.ts';

type RetryConfig = Pick<Config, 'status' | 'code' | 'olderThan' | 'dryRun' | 'force' | 'adopt'>;

/** @param id empty: none was given @returns undefined for one job @throws `conflicting_options` */
export function selectionOf(config: RetryConfig, id: string): RetrySelection | undefined {
  const { status, code, olderThan: olderThanMs, dryRun, force, adopt } = config;
  const isSelecting = status !== undefined || code !== undefined || olderThanMs !== undefined || dryRun;
  if (id !== '') {
    if (!isSelecting) return undefined;
    throw conflict('The command "jobs retry" takes either an id, or --status, --code, --older-than and --dry-run');
  }
  if (status === undefined)
    throw conflict('The command "jobs retry" needs an id, or --status error for all jobs that failed');
  if (status !== 'error' && status !== 'completed')
    throw conflict(
      'The command "jobs retry" takes --status error or --status completed: the others have not ended yet',
    );
  if (code !== undefined && status !== 'error') throw conflict('--code needs --status error');
  if (force || adopt) throw conflict(`${force ? '--force' : '--adopt'} needs the id of one job`);
  return { status, ...omitUndefined({ code, olderThanMs }) };
}

export async function retryAll(
  context: CommandContext,
  queue: PromptQueue,
  selection: RetrySelection,
): Promise<ExitCode> {
  if (context.config.dryRun) {
    const matching = await queue.countSelected(selection);
    printResult(context, { json: { dryRun: true, matching }, text: `${jobCount(matching)} would be retried` });
    return 0;
  }
  const { retried, refused } = await queue.retryAll(selection);
  const left = refused === 0 ? '' : `, ${refused} refused by the database`;
  printResult(context, { json: { retried, refused }, text: `${jobCount(retried)} retried${left}` });
  return 0;
}

function jobCount(number: number): string {
  return `${number} ${number === 1 ? 'job' : 'jobs'}`;
}

function conflict(sentence: string): Text2ImgError {
  return new Text2ImgError('conflicting_options', `${sentence}.`);
}
