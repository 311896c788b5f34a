/** Looks at every state that the publishing model can reach, breadth first, so that the shortest way to a fault is the one that is told. */
import { type Bounds, faultIn, firstState, type Mutant, type State, stepsFrom } from './publishing-model.ts';

export interface Exploration {
  readonly states: number;
  /** States with a completed document: without any the model would say nothing. */
  readonly completed: number;
  /** What is wrong, and how it comes about. */
  readonly fault?: { readonly what: string; readonly steps: readonly string[] };
}

/** @throws when there are more than `maxStates` */
export function explore(
  bounds: Bounds,
  { mutant, maxStates = 3_000_000 }: { readonly mutant?: Mutant; readonly maxStates?: number } = {},
): Exploration {
  const first = firstState(bounds);
  const cameBy = new Map<string, { readonly what: string; readonly before: string } | undefined>([
    [keyOf(first), undefined],
  ]);
  let front: State[] = [first];
  let completed = 0;
  while (front.length > 0) {
    const next: State[] = [];
    for (const state of front) {
      const key = keyOf(state);
      const what = faultIn(state);
      if (what !== undefined) return { states: cameBy.size, completed, fault: { what, steps: wayTo(key, cameBy) } };
      if (state.documents.some(({ status }) => status === 'completed')) completed++;
      for (const step of stepsFrom(state, bounds, mutant)) {
        const reached = keyOf(step.next);
        if (cameBy.has(reached)) continue;
        if (cameBy.size >= maxStates) throw new Error(`more than ${maxStates} states`);
        cameBy.set(reached, { what: step.what, before: key });
        next.push(step.next);
      }
    }
    front = next;
  }
  return { states: cameBy.size, completed };
}

/** Workers are alike: states that differ only in their order are one. */
function keyOf(state: State): string {
  const workers = state.workers.map((worker) => JSON.stringify(Object.values(worker))).toSorted();
  const { documents, objects, generation, tokens, runs, reinsertions, deletions, told } = state;
  return JSON.stringify([
    documents.map(Object.values),
    objects,
    generation,
    tokens,
    runs,
    reinsertions,
    deletions,
    told.toSorted((one, other) => one - other),
    workers,
  ]);
}

function wayTo(
  key: string,
  cameBy: ReadonlyMap<string, { readonly what: string; readonly before: string } | undefined>,
): readonly string[] {
  const steps: string[] = [];
  for (let step = cameBy.get(key); step !== undefined; step = cameBy.get(step.before)) steps.unshift(step.what);
  return steps;
}
