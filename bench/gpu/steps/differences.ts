/** How far the results of one pass are apart, on the same weights and inputs: forms, runtimes and PyTorch. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { differenceOf } from '../measure.ts';
import { outputsFolder } from '../open-graph.ts';
import { type Report, StepEnds, type TaskOf } from '../step.ts';

/** What the others are compared with, the best first. */
const REFERENCES = ['torch float32', 'text2img portable float16'];

export function differencesStep(task: TaskOf<'differences'>, report: Report): void {
  const folder = outputsFolder(task.model, task);
  const names = readdirSync(folder)
    .filter((file) => file.endsWith('.f32'))
    .map((file) => file.slice(0, -'.f32'.length))
    .toSorted();
  const reference = REFERENCES.find((name) => existsSync(join(folder, `${name}.f32`)));
  const others = names.filter((name) => name !== reference);
  if (reference === undefined || others.length === 0)
    throw new StepEnds('not-run', 'there are no two results to compare');
  const read = (name: string): Float32Array => {
    const bytes = readFileSync(join(folder, `${name}.f32`));
    return new Float32Array(Uint8Array.from(bytes).buffer);
  };
  const expected = read(reference);
  for (const name of others) report({ what: `${name}, against ${reference}`, ...differenceOf(read(name), expected) });
}
