/** One process, one step of `npm run bench:gpu`. Its task is the argument, its messages are lines of JSON on standard output. */
import { additionStep } from './steps/addition.ts';
import { differencesStep } from './steps/differences.ts';
import { goldenStep } from './steps/golden.ts';
import { optionsStep } from './steps/options.ts';
import { profileStep } from './steps/profile.ts';
import { kernelsStep } from './steps/kernels.ts';
import { layersStep } from './steps/layers.ts';
import { runtimeCStep } from './steps/runtime-c.ts';
import { sampleStep } from './steps/sample.ts';
import { torchStep } from './steps/torch.ts';
import { unetStep } from './steps/unet.ts';
import { vaeStep } from './steps/vae.ts';
import { weightsStep } from './steps/weights.ts';
import { workerStep } from './steps/worker.ts';
import { type Report, StepEnds, type StepMessage, type StepTask, type Surroundings } from './step.ts';

const task = JSON.parse(process.argv[2] ?? '{}') as StepTask & Surroundings;
const print = (message: StepMessage): void => void process.stdout.write(`${JSON.stringify(message)}\n`);

try {
  await run((row) => print({ row }));
  print({ end: 'done' });
} catch (error) {
  if (!(error instanceof StepEnds)) throw error;
  print({ end: error.end, reason: error.message });
}

async function run(report: Report): Promise<void> {
  switch (task.kind) {
    case 'addition':
      return await additionStep(task, report);
    case 'golden':
      return await goldenStep(task, report);
    case 'weights':
      return await weightsStep(task, report);
    case 'profile':
      return await profileStep(task, report);
    case 'sample':
      return await sampleStep(task, report);
    case 'kernels':
      return kernelsStep(task, report);
    case 'layers':
      return await layersStep(task, report);
    case 'unet':
      return await unetStep(task, report);
    case 'vae':
      return await vaeStep(task, report);
    case 'worker':
      return await workerStep(task, report);
    case 'runtime-c':
      return await runtimeCStep(task, report);
    case 'options':
      return await optionsStep(task, report);
    case 'torch':
      return await torchStep(task);
    case 'differences':
      return differencesStep(task, report);
  }
  throw new Error(`there is no step ${JSON.stringify(task satisfies never)}`);
}
