/**
 * Stopping by signal: the first SIGTERM, SIGINT, SIGQUIT (what some images send) or SIGHUP (a terminal that closes) asks for a graceful end, the
 * second ends the process at once.
 */
import { constants } from 'node:os';
import type { Logger } from '../observability/logger.ts';

const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGHUP'] as const;
const SIGNAL_EXIT_CODE = 128;
/** After the grace period, for giving back and closing; another second is the terminal's. */
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
  /** Aborted 3.5 seconds after the grace period: whatever has not answered by then is left. */
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
