/** `text2img mcp`: images for an agent, over standard input and output. Standard output carries the protocol only. */
import { runMcp } from '../app/run-mcp.ts';
import { serveSettings } from '../app/server-settings.ts';
import { untilAborted } from '../lib/until-aborted.ts';
import type { ExitCode, QueueContext } from './command-context.ts';
import { downloadBar } from './download-bar.ts';
import { limitsOf } from './request-settings.ts';
import { runSettings } from './run-settings.ts';
import { listenForSignals } from './signals.ts';

/** An agent that closes its side ends the process by force two seconds later. Jobs at work go back to the queue. */
const GRACE_MS = 0;

export async function mcp(context: QueueContext): Promise<ExitCode> {
  const { config, logger, terminal } = context;
  const plain = runSettings(context);
  const worker = { ...plain.worker, graceMs: GRACE_MS };
  // Without a URL of the operator's, pending webhooks are left to the workers that have one.
  const run = { ...plain, worker, healthFile: undefined, sendsWebhooks: config.callbackUrl !== undefined };
  const { queue, store } = run;
  using stopping = listenForSignals({ logger, graceMs: GRACE_MS });
  const serving = runMcp(serveSettings(config, { queue, store, run, limits: limitsOf(config) }), {
    logger,
    download: downloadBar(terminal),
    input: process.stdin,
    output: process.stdout,
    signal: stopping.signal,
  });
  await untilAborted(serving, stopping.lastSignal);
  return 0;
}
