/** From the first try of a webhook to the last, at the longest: a URL that is sent must work that long. */
import { pauseAfter } from '../../src/webhook/retry-schedule.ts';

export function longestDeliveryMs(): number {
  let sumMs = 0;
  for (let tries = 1; ; tries++) {
    const pauseMs = pauseAfter(tries, { random: () => 1 });
    if (pauseMs === undefined) return sumMs;
    sumMs += pauseMs;
  }
}
