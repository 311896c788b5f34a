/** `text2img run`: generates the queue's jobs until it is drained, or, with `--watch`, until a signal. */
import { runUntilStopped, type RunSettings } from '../app/run-worker.ts';
import { untilAborted } from '../lib/until-aborted.ts';
import { removeStaleHealthFiles } from '../observability/stale-health-files.ts';
import type { ExitCode, QueueContext } from './command-context.ts';
import { downloadBar } from './download-bar.ts';
import { placeOf } from './made-text.ts';
import { show, summarize, Tally } from './run-output.ts';
import { runSettings } from './run-settings.ts';
import { listenForSignals, type SignalListener } from './signals.ts';

const SOME_JOB_FAILED: ExitCode = 3;

export async function run(context: QueueContext): Promise<ExitCode> {
  const { config, logger } = context;
  const settings = runSettings(context);
  using stopping = listenForSignals({ logger, graceMs: config.gracePeriod * 1000 });
  const exitCode = await untilAborted(runAndTell(context, settings, stopping), stopping.lastSignal);
  if (exitCode === undefined) logger.warning('something did not answer during the stop, and is left');
  return exitCode ?? 0;
}

async function runAndTell(context: QueueContext, settings: RunSettings, { signal }: SignalListener): Promise<ExitCode> {
  const { config, logger, terminal } = context;
  const tally = new Tally();
  const startedMs = performance.now();
  const { healthFile } = settings;
  if (config.heartbeatFile === undefined && healthFile !== undefined) await removeStaleHealthFiles(healthFile);
  const outcome = await runUntilStopped(settings, {
    logger,
    signal,
    download: downloadBar(terminal),
    onEvent: (event) => {
      tally.add(event);
      show(context, event);
    },
  });
  if (outcome === undefined) return 0;
  const { summary, images } = tally;
  const { delivered, owed, wasEmpty, others, failure } = outcome;
  const elapsedMs = performance.now() - startedMs;
  summarize(context, { summary, images, place: placeOf(settings.store), elapsedMs, delivered, owed, wasEmpty, others });
  if (failure !== undefined) throw failure;
  return config.failOnError && summary.failed > 0 ? SOME_JOB_FAILED : 0;
}
