/**
 * Asks a copy of `src/` about a scheduler by its names only, and prints the answers as JSON. `add-a-scheduler.test.ts` runs it inside of the copy:
 * node ask-about-fixture.ts <class name> <short name>
 */
import { formatGenerationParameters, parseGenerationParameters } from '../../src/image/parameters-text.ts';
import { DEFAULT_LIMITS } from '../../src/job/limits.ts';
import { parsePromptDocument } from '../../src/job/prompt-document.ts';
import { TorchCpuGenerator } from '../../src/noise/torch-cpu-random.ts';
import { createScheduler } from '../../src/schedulers/create-scheduler.ts';
import { readSchedulerConfig } from '../../src/schedulers/scheduler-config.ts';
import { pseudoLoop } from './pseudo-network.ts';

const [className = '', shortName = ''] = process.argv.slice(2);

function refusalOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    return String(error);
  }
  return 'nothing was refused';
}

const png = formatGenerationParameters({
  prompt: 'a fox',
  negativePrompt: '',
  numInferenceSteps: 4,
  scheduler: shortName,
  guidanceScale: 1,
  seed: 1,
  widthPx: 64,
  heightPx: 64,
  modelName: 'm',
  modelHash: null,
});
const scheduler = createScheduler(shortName, { configFor: () => ({}) }, { steps: 4 });
const noise = new TorchCpuGenerator(1);
const answers = {
  document: [className, shortName].map(
    (name) => parsePromptDocument({ text: 'a fox', scheduler: name }, DEFAULT_LIMITS).request.scheduler,
  ),
  unknown: refusalOf(() => parsePromptDocument({ text: 'a fox', scheduler: 'magic' }, DEFAULT_LIMITS)),
  config: readSchedulerConfig(className, { shift: 2, other: 1 }, 'scheduler_config.json'),
  badConfig: refusalOf(() => readSchedulerConfig(className, { shift: 99 }, 'scheduler_config.json')),
  badChoice: refusalOf(() => readSchedulerConfig(className, { use_dynamic_shifting: true }, 'scheduler_config.json')),
  unknownClass: refusalOf(() => readSchedulerConfig('Magic', {}, 'scheduler_config.json')),
  png,
  pngRead: parseGenerationParameters(png).scheduler,
  webUi: [
    'Steps: 4, Sampler: Fixture, Schedule type: Straight, Seed: 1',
    'Steps: 4, Sampler: Fixture Straight, Seed: 1',
  ].map((line) => parseGenerationParameters(`a fox\n${line}`).scheduler),
  sigmas: scheduler.passes.map(({ sigma }) => sigma),
  result: [...pseudoLoop({ scheduler, start: noise.next(16), firstPass: 0, noise }).sample],
};
process.stdout.write(JSON.stringify(answers));
