/**
 * Stops the program by signal. The first SIGTERM, SIGINT, SIGQUIT (some container images send it) or SIGHUP (a terminal that closes) asks for a
 * graceful end. The second ends the process at once.
 */
import { constants } from 'node:os';
import type { Logger } from '../observability/logger.ts';

const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGHUP'] as const;
const SIGNAL_EXIT_CODE = 128;
/** Time after the grace period to release jobs and close. The terminal gets another second. */
const CLOSING_MS = 3500;

/** The process's, as signals are. */
let isStopping = false;

/** Whether a first signal has come: then nothing may take long any more. */
export function stopWasAsked(): boolean {
  return isStopping;
}

export interface SignalListener extends Disposable {
  /** Aborted at the first signal. */
  readonly signal: AbortSignal;
  /** Aborted 3.5 seconds after the grace period. Then nothing waits for calls that have not answered. */
  readonly lastSignal: AbortSignal;
}

export interface SignalOptions {
  readonly logger: Logger;
  readonly graceMs: number;
}

export function listenForSignals({ logger, graceMs }: SignalOptions): SignalListener {
  const controller = new AbortController();
  const last = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const receive = (name: (typeof SIGNALS)[number]): void => {
    if (controller.signal.aborted) process.exit(SIGNAL_EXIT_CODE + constants.signals[name]);
    logger.info('stopping: finishing or releasing the jobs; a second signal ends at once', {
      signal: name,
    });
    isStopping = true;
    controller.abort();
    timer = setTimeout(() => last.abort(), graceMs + CLOSING_MS);
  };
  for (const name of SIGNALS) process.on(name, receive);
  return {
    signal: controller.signal,
    lastSignal: last.signal,
    [Symbol.dispose]: () => {
      clearTimeout(timer);
      for (const name of SIGNALS) process.off(name, receive);
    },
  };
}
