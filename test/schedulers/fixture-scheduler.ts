/** A scheduler that text2img does not have, as its author would write it: straight lines between image and noise, without training betas. */

import { requireSteps } from '../../src/schedulers/noise-schedule.ts';
import { firstPassOf, passAt } from '../../src/schedulers/passes.ts';
import type { Scheduler, SchedulerClass, SchedulerPass } from '../../src/schedulers/scheduler.ts';

function fixtureScheduler(shift: number, steps: number): Scheduler {
  requireSteps(steps, 1, 1000);
  const passes: readonly SchedulerPass[] = Array.from({ length: steps }, (_, pass) => {
    const time = 1 - pass / steps;
    const sigma = (shift * time) / (1 + (shift - 1) * time);
    return { timestep: sigma * 1000, sigma };
  });
  return {
    passes,
    initNoiseSigma: 1,
    firstPass: (strength) => firstPassOf(strength, steps),
    scaleModelInput: (sample) => sample,
    step: ({ modelOutput, sample, pass }) => {
      const { sigma } = passAt(passes, pass);
      const distance = (passes[pass + 1]?.sigma ?? 0) - sigma;
      const at = (index: number): number => modelOutput[index] ?? Number.NaN;
      return {
        sample: sample.map((value, index) => value + distance * at(index)),
        original: sample.map((value, index) => value - sigma * at(index)),
      };
    },
    addNoise: ({ original, noise, pass }) => {
      const { sigma } = passAt(passes, pass);
      return original.map((value, index) => (1 - sigma) * value + sigma * (noise[index] ?? Number.NaN));
    },
  };
}

export const FIXTURE: SchedulerClass = {
  className: 'FixtureFlowScheduler',
  rules: (z) => ({
    implemented: z.object({ shift: z.number().min(0.1).max(10) }).partial(),
    implementedKeys: ['shift'],
    withoutEffect: {},
    onlyDefault: { use_dynamic_shifting: [false] },
  }),
  names: [{ name: 'fixture_flow', settings: { shift: 3 }, sampler: 'Fixture', scheduleType: 'Straight' }],
  create: ({ shift }, { steps }) => fixtureScheduler(typeof shift === 'number' ? shift : 1, steps),
};
