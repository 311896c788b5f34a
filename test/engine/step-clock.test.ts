/** When a job will be done, by the time its passes took. The clock is set by hand. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StepClock } from '../../src/engine/step-clock.ts';
import { createScheduler } from '../../src/schedulers/create-scheduler.ts';

const PASS_MS = 100;
const CHECKPOINT = { configFor: () => ({ beta_schedule: 'scaled_linear' }) };

for (const scheduler of ['heun', 'dpm2', 'dpm2_a', 'dpmpp_sde', 'pndm', 'dpmpp_2s', 'euler'])
  test(`${scheduler}: the remaining time after each pass is that of the passes that are left`, () => {
    const passes = createScheduler(scheduler, CHECKPOINT, { steps: 6 }).passes.length;
    let nowMs = 0;
    const clock = new StepClock(() => nowMs);
    clock.tick(0, passes);
    assert.equal(clock.remainingMs(), undefined);
    for (let pass = 1; pass <= passes; pass++) {
      nowMs += PASS_MS;
      assert.equal(clock.tick(pass, passes), PASS_MS);
      assert.ok(Math.abs((clock.remainingMs() ?? -1) - (passes - pass) * PASS_MS) < 1e-6, `pass ${pass} of ${passes}`);
    }
  });
