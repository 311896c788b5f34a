/** Makes a model's random weights, so that no later step is timed with it. */
import { secondsOf } from '../measure.ts';
import { ensureModel } from '../random-model.ts';
import type { Report, TaskOf } from '../step.ts';

export async function weightsStep(task: TaskOf<'weights'>, report: Report): Promise<void> {
  const seconds = await secondsOf(() => ensureModel(task.model, task));
  report({ what: 'made', seconds });
}
