/** Signals: the first asks the command to stop in good order, the second ends it at once. */
import { constants } from 'node:os';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export interface StopSignal extends Disposable {
  readonly signal: AbortSignal;
}

/** @param onFirst tells the user that it was heard */
export function stopOnSignals(onFirst: (name: string) => void): StopSignal {
  const controller = new AbortController();
  const hear = (name: NodeJS.Signals): void => {
    // Nothing is lost: the leases of what is under way end by themselves.
    if (controller.signal.aborted) process.exit(128 + constants.signals[name]);
    onFirst(name);
    controller.abort();
  };
  for (const name of SIGNALS) process.on(name, hear);
  return {
    signal: controller.signal,
    [Symbol.dispose]: () => {
      for (const name of SIGNALS) process.off(name, hear);
    },
  };
}
