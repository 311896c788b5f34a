/** Runs the steps in their order: what is done stays done, a step that does not fit into the time is left out by name, a failed one ends nothing. */
import type { ResultsFile } from './results-file.ts';
import { type RunStepOptions, runStep } from './run-step.ts';
import type { Step, StepResult } from './step.ts';

export interface RunPlanOptions extends Pick<RunStepOptions, 'surroundings' | 'environment' | 'onError'> {
  readonly file: ResultsFile;
  /** When `--minutes` are over, by `performance.now()`. */
  readonly deadlineMs: number;
  /** Told before and after each step that runs. */
  readonly onStep: (step: Step, result: StepResult) => void;
}

/** A step that hangs must not take the time of all others. */
const MOST_TIMES_OF_NEED = { gpu: 2, cpu: 40 };
const SHORTEST_LIMIT_SECONDS = 60;

export async function runPlan(steps: readonly Step[], options: RunPlanOptions): Promise<void> {
  for (const step of inOrder(steps, options.file)) await runOne(step, options);
}

/** A step within which the command ended may end the machine again, so it comes last. */
function inOrder(steps: readonly Step[], file: ResultsFile): readonly Step[] {
  const open = steps.filter(({ id }) => file.of(id)?.state !== 'done');
  const broke = (step: Step): boolean => file.of(step.id)?.state === 'running';
  return [...open.filter((step) => !broke(step)), ...open.filter(broke)];
}

async function runOne(step: Step, options: RunPlanOptions): Promise<void> {
  const { file, deadlineMs, onStep, ...childOptions } = options;
  const { id, part, about } = step;
  const keep = (result: Omit<StepResult, 'part' | 'about' | 'date'>): StepResult => {
    const kept = { part, about, date: new Date().toISOString(), ...result };
    file.set(id, kept);
    return kept;
  };
  const leftSeconds = (deadlineMs - performance.now()) / 1000;
  if (leftSeconds < step.needsSeconds) {
    const left = Math.max(0, Math.round(leftSeconds));
    const reason = `it needs about ${step.needsSeconds} s, and ${left} s of --minutes were left`;
    onStep(step, keep({ state: 'not-run', reason, rows: [] }));
    return;
  }
  let rows: StepResult['rows'] = [];
  onStep(step, keep({ state: 'running', rows }));
  const startMs = performance.now();
  const ending = await runStep(step, {
    ...childOptions,
    limitSeconds: Math.min(
      leftSeconds,
      Math.max(
        SHORTEST_LIMIT_SECONDS,
        MOST_TIMES_OF_NEED[childOptions.surroundings.device === 'cpu' ? 'cpu' : 'gpu'] * step.needsSeconds,
      ),
    ),
    onRow: (row) => {
      rows = [...rows, row];
      keep({ state: 'running', rows });
    },
  });
  const seconds = Math.round((performance.now() - startMs) / 100) / 10;
  onStep(step, keep({ ...ending, seconds, rows }));
}
