/** `text2img run`, the default command: draws what is in the queue and ends, or with `--watch` goes on until it is told to stop. */
import { resolveMode } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { resolveSchedulerName } from '../diffusion/schedulers/scheduler-names.ts';
import { EXIT_CODE_OF_FAULT } from '../errors/error-codes.ts';
import type { GenerationDefaults } from '../job/resolve-request.ts';
import type { WorkerEvent, WorkerSummary } from '../worker/worker-options.ts';
import { runWorker } from '../worker/worker.ts';
import { type CommandContext, type ExitCode } from './command-context.ts';
import { limitsOf } from './limits.ts';
import { openQueue, openStore } from './open-queue.ts';
import { startEngine } from './start-engine.ts';
import { stopOnSignals } from './stop-signal.ts';

/** The embedded queue is a file, so `jobs show` may be told of progress more often than a third of the lease. */
const EMBEDDED_BEAT_MS = 1000;

export async function run(context: CommandContext): Promise<ExitCode> {
  const { config, logger } = context;
  const mode = resolveMode(config);
  logger.info('embedded mode: no --mongo-uri and no --gcs-bucket were given', { data_dir: mode.dataDir });
  using stop = stopOnSignals((name) => logger.info('stopping; once more stops at once', { signal: name }));
  await using queue = await openQueue(context);
  await using store = openStore(context);
  await store.check();
  await using engine = await startEngine(context);
  const leaseMs = config.leaseSeconds * 1000;
  const summary = await runWorker({
    queue,
    store,
    engine,
    limits: limitsOf(config),
    defaults: defaultsOf(config),
    mode: config.watch ? 'watch' : 'drain',
    leaseMs,
    beatMs: Math.min(EMBEDDED_BEAT_MS, leaseMs / 3),
    maxAttempts: config.maxAttempts,
    batchSize: config.batchSize,
    signal: stop.signal,
    graceMs: config.gracePeriod * 1000,
    logger,
    onEvent: (event) => tell(context, event),
  });
  report(context, summary);
  return config.failOnError && summary.failed > 0 ? EXIT_CODE_OF_FAULT.request : 0;
}

/** What documents get that leave it out. */
function defaultsOf(config: Config): GenerationDefaults {
  const { negativePrompt, numInferenceSteps, guidanceScale, width: widthPx, height: heightPx, numImages } = config;
  const scheduler = config.scheduler === undefined ? undefined : resolveSchedulerName(config.scheduler);
  const values = { negativePrompt, numInferenceSteps, guidanceScale, widthPx, heightPx, numImages, scheduler };
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}

function tell({ config, terminal }: CommandContext, event: WorkerEvent): void {
  if (event.type === 'claimed') return;
  if (event.type === 'progress') {
    const { id, step, steps } = event;
    terminal.progress(id, { label: id, step, steps, stage: step === steps ? 'decode' : 'denoise' });
    return;
  }
  terminal.endProgress(event.id);
  if (config.json) terminal.result(JSON.stringify(event));
  else if (event.type === 'completed') for (const url of event.imageUrls) terminal.result(url);
  else if (event.type === 'failed') terminal.line(`${event.id}: ${event.message} [${event.code}]`);
}

function report({ config, terminal }: CommandContext, summary: WorkerSummary): void {
  if (config.json) {
    terminal.result(JSON.stringify({ type: 'summary', ...summary }));
    return;
  }
  const extras = (['retried', 'released', 'lost'] as const)
    .filter((name) => summary[name] > 0)
    .map((name) => `, ${summary[name]} ${name}`);
  terminal.line(`${summary.completed} completed, ${summary.failed} in error${extras.join('')}`);
}
