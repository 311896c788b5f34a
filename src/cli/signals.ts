/**
 * Stopping by signal: the first SIGTERM or SIGINT asks for a graceful end, the second ends the process at once.
 */
import { constants } from 'node:os';
import type { Logger } from '../observability/logger.ts';

const SIGNALS = ['SIGTERM', 'SIGINT'] as const;
const SIGNAL_EXIT_CODE = 128;

/** The process's, as signals are. */
let isStopping = false;

/** Whether a first signal has come: then nothing may take long any more. */
export function stopWasAsked(): boolean {
  return isStopping;
}

export interface SignalListener extends Disposable {
  /** Aborted at the first signal. */
  readonly signal: AbortSignal;
}

export function listenForSignals(logger: Logger): SignalListener {
  const controller = new AbortController();
  const receive = (name: (typeof SIGNALS)[number]): void => {
    if (controller.signal.aborted) process.exit(SIGNAL_EXIT_CODE + constants.signals[name]);
    logger.info('stopping: finishing or giving back what is being drawn; a second signal ends at once', {
      signal: name,
    });
    isStopping = true;
    controller.abort();
  };
  for (const name of SIGNALS) process.on(name, receive);
  return {
    signal: controller.signal,
    [Symbol.dispose]: () => {
      for (const name of SIGNALS) process.off(name, receive);
    },
  };
}
