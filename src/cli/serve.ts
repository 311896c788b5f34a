/** `text2img serve`: answers HTTP requests out of the queue, and with the embedded queue generates too, until a signal. */
import { ACCEPT_MS, runServer } from '../app/run-server.ts';
import { serveSettings } from '../app/server-settings.ts';
import { untilAborted } from '../lib/until-aborted.ts';
import type { WorkerEvent } from '../worker/worker-contract.ts';
import { type CommandContext, type ExitCode, printResult, type QueueContext } from './command-context.ts';
import { downloadBar } from './download-bar.ts';
import { limitsOf } from './request-settings.ts';
import { runSettings } from './run-settings.ts';
import { listenForSignals } from './signals.ts';

export async function serve(context: QueueContext): Promise<ExitCode> {
  const { config, logger, terminal } = context;
  const run = runSettings(context);
  const { queue, store } = run;
  const settings = serveSettings(config, { queue, store, run, limits: limitsOf(config) });
  using stopping = listenForSignals({ logger, graceMs: ACCEPT_MS + config.gracePeriod * 1000 });
  const serving = runServer(settings, {
    logger,
    signal: stopping.signal,
    download: downloadBar(terminal),
    onEvent: (event) => showProgress(context, event),
    onListening: (url) => {
      printResult(context, { json: { url }, text: url });
      if (settings.apiKeys === undefined && !config.auth)
        logger.warning('the server answers everybody who can reach it: no API key is asked for', { host: config.host });
    },
  });
  const ended = await untilAborted(
    serving.then(() => true),
    stopping.lastSignal,
  );
  if (ended === undefined) logger.warning('something did not answer during the stop, and is left');
  return 0;
}

/** Standard output has one line only: the URL. */
function showProgress({ terminal }: CommandContext, event: WorkerEvent): void {
  if (event.type === 'claimed') return;
  if (event.type === 'progress') terminal.progress(event.id, { label: event.id, step: event.step, steps: event.steps });
  else terminal.endProgress(event.id);
}
