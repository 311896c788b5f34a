/**
 * `text2img run`: draws the queue's prompts until it is drained, or, with `--watch`, until a signal.
 */
import { resolve } from 'node:path';
import { resolveMode } from '../config/load.ts';
import type { WorkerEvent, WorkerSummary } from '../worker/worker-options.ts';
import { runWorker } from '../worker/worker.ts';
import type { CommandContext, ExitCode } from './command-context.ts';
import { defaultsOf, limitsOf } from './limits.ts';
import { findModelFolder } from './model-folder.ts';
import { openEngine } from './open-engine.ts';
import { openQueue, openStore } from './open-queue.ts';
import { printable } from './printable.ts';
import { listenForSignals } from './signals.ts';

const SOME_PROMPT_FAILED: ExitCode = 3;
/** The embedded queue is a file of this machine, so `jobs show` can hear of progress more often than a third of the lease. */
const EMBEDDED_BEAT_MS = 1000;
const NOTHING_DONE: WorkerSummary = { completed: 0, failed: 0, retried: 0, released: 0, lost: 0 };

export async function run(context: CommandContext): Promise<ExitCode> {
  const { config, logger } = context;
  const { dataDir } = resolveMode(config);
  logger.info('embedded mode: queue and pictures are in a folder of this machine', { folder: resolve(dataDir) });
  await findModelFolder(config);
  using stopping = listenForSignals(logger);
  await using queue = openQueue(context);
  await using store = openStore(context);
  await store.check();

  const { pending, processing } = await queue.counts();
  logger.info('queue opened', { pending, processing });
  // An empty queue is drained without a model; everything else waits until it is warm, so that no claim does.
  const isIdle = !config.watch && pending + processing === 0;
  let summary = NOTHING_DONE;
  if (!isIdle) {
    await using engine = await openEngine(context);
    summary = await runWorker({
      queue,
      store,
      engine,
      limits: limitsOf(config),
      defaults: defaultsOf(config),
      mode: config.watch ? 'watch' : 'drain',
      leaseMs: config.leaseSeconds * 1000,
      beatMs: Math.min(EMBEDDED_BEAT_MS, (config.leaseSeconds * 1000) / 3),
      maxAttempts: config.maxAttempts,
      batchSize: config.batchSize,
      signal: stopping.signal,
      graceMs: config.gracePeriod * 1000,
      logger,
      onEvent: (event) => show(context, event),
    });
  }
  summarize(context, summary);
  return config.failOnError && summary.failed > 0 ? SOME_PROMPT_FAILED : 0;
}

function show({ config, terminal }: CommandContext, event: WorkerEvent): void {
  switch (event.type) {
    case 'claimed':
      return;
    case 'progress':
      return terminal.progress(event.id, { label: event.id, step: event.step, steps: event.steps });
    case 'completed':
    case 'failed':
    case 'retried':
    case 'released':
    case 'lost':
      terminal.endProgress(event.id);
      if (config.json) return terminal.result(JSON.stringify(event));
      if (event.type === 'completed') for (const url of event.imageUrls) terminal.result(printable(url));
  }
}

function summarize({ config, terminal }: CommandContext, summary: WorkerSummary): void {
  if (config.json) return terminal.result(JSON.stringify({ type: 'summary', ...summary }));
  const { completed, failed, retried, released, lost } = summary;
  const rare = [
    [retried, 'to be tried again'],
    [released, 'given back'],
    [lost, 'taken away'],
  ] as const;
  const others = rare.filter(([count]) => count > 0).map(([count, what]) => `, ${count} ${what}`);
  terminal.line(`${completed} completed, ${failed} failed${others.join('')}`);
}
