/** The file of results of `npm run bench:gpu`: written whole after each step and each row, so that nothing is lost when a process or the machine ends. */
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { thisMachine } from '../results.ts';
import type { GpuFacts } from './gpu-facts.ts';
import type { StepResult } from './step.ts';

export interface GpuResults {
  readonly format: 1;
  readonly machine: ReturnType<typeof thisMachine>;
  readonly device: string;
  readonly isTiny: boolean;
  /** Absent: not on a GPU. */
  readonly gpu?: GpuFacts;
  readonly versions: Readonly<Record<string, string>>;
  /** By the steps' ids, in their order. */
  readonly steps: Readonly<Record<string, StepResult>>;
}

export type ResultsHead = Omit<GpuResults, 'format' | 'machine' | 'steps'>;

export class ResultsFile {
  readonly path: string;
  #results: GpuResults;

  /** @throws a sentence where the file is of another device, GPU, version or size of networks */
  constructor(path: string, head: ResultsHead) {
    this.path = path;
    const before = existsSync(path) ? readResultsFile(path) : undefined;
    if (before !== undefined && conditions(before) !== conditions(head))
      throw new Error(
        `${path} has the results of ${conditions(before)}, and this is ${conditions(head)}; name another file with --output`,
      );
    this.#results = { format: 1, ...head, machine: thisMachine(), steps: before?.steps ?? {} };
  }

  get results(): GpuResults {
    return this.#results;
  }

  of(id: string): StepResult | undefined {
    return this.#results.steps[id];
  }

  set(id: string, result: StepResult): void {
    this.#results = { ...this.#results, steps: { ...this.#results.steps, [id]: result } };
    mkdirSync(dirname(this.path), { recursive: true });
    writeFileSync(`${this.path}.part`, `${JSON.stringify(this.#results, null, 2)}\n`);
    renameSync(`${this.path}.part`, this.path);
  }
}

export function readResultsFile(path: string): GpuResults {
  const results = JSON.parse(readFileSync(path, 'utf8')) as GpuResults;
  if (results.format !== 1) throw new Error(`${path} is no file of results that this version can read`);
  return results;
}

/** What results must have in common to stand in one file. */
function conditions({ device, isTiny, gpu, versions }: ResultsHead): string {
  const named = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  return [gpu?.name ?? device, ...(isTiny ? ['tiny networks'] : []), ...named].join(', ');
}
