/** A step of `npm run bench:gpu`: what it is asked, what it reports, and how its result is kept. */
import type { ComputeType } from '../../src/onnx/graph.ts';
import type { GraphForm } from '../../src/onnx/graph-form.ts';
import type { ModelName } from './models.ts';

/** The letters of the order: what is found out first is worth most if the time runs out. */
type Part = 'a' | 'b' | 'c' | 'd' | 'e' | 'f' | 'g' | 'h' | 'i';

/** One measurement. Units are in the names: `seconds`, `memoryBytes`, `psnrDb`. */
export interface Row {
  readonly what: string;
  readonly [name: string]: string | number | boolean | undefined;
}

/** What a step's process does. Python's steps take the same object. */
export type StepTask =
  | { readonly kind: 'addition' }
  | {
      readonly kind: 'golden';
      readonly computeType: ComputeType;
      readonly cases: string;
      /** `auto`: as the runtime wants it. */
      readonly form: GraphForm | 'auto';
      readonly runtime: 'onnxruntime' | 'onnxruntime-c';
      /** As `--deterministic`: through onnxruntime-c it turns TF32 off. */
      readonly deterministic?: true;
    }
  | { readonly kind: 'weights'; readonly model: ModelName }
  | { readonly kind: 'profile'; readonly model: ModelName; readonly form: GraphForm }
  | { readonly kind: 'sample' }
  | { readonly kind: 'layers' }
  | {
      readonly kind: 'unet';
      readonly model: ModelName;
      readonly form: GraphForm;
      readonly batches: readonly number[];
    }
  | { readonly kind: 'vae'; readonly model: ModelName; readonly form: GraphForm }
  | {
      readonly kind: 'worker';
      readonly model: ModelName;
      readonly steps: number;
      readonly batchSize: number;
      readonly starts: number;
    }
  | {
      readonly kind: 'runtime-c';
      readonly model: ModelName;
      readonly form: GraphForm;
      readonly batches: readonly number[];
    }
  | { readonly kind: 'kernels'; readonly model: ModelName; readonly form: GraphForm; readonly batch: number }
  | { readonly kind: 'options'; readonly model: ModelName }
  | {
      readonly kind: 'torch';
      readonly model: ModelName;
      readonly batches: readonly number[];
      readonly isCompiled: boolean;
    }
  | { readonly kind: 'differences'; readonly model: ModelName };

type StepKind = StepTask['kind'];
export type TaskOf<Kind extends StepKind> = Extract<StepTask, { kind: Kind }> & Surroundings;

/** The same for every step of a run. */
export interface Surroundings {
  /** `cuda:0`, or `cpu` where the command itself is tried. */
  readonly device: string;
  /** Small networks and pictures: for trying the command, not for measuring. */
  readonly isTiny: boolean;
  /** Weights and outputs lie below it. */
  readonly workFolder: string;
  /** That has PyTorch. */
  readonly python?: string;
}

export interface Step {
  readonly id: string;
  readonly part: Part;
  readonly about: string;
  /** What it takes on a fast GPU, guessed generously: with less time left it does not begin. */
  readonly needsSeconds: number;
  readonly task: StepTask;
  readonly environment?: Readonly<Record<string, string>>;
}

/** `running` in a file that nobody writes any more: the command ended within the step. */
export type StepState = 'running' | 'done' | 'failed' | 'not-built' | 'not-run';

/** In the file of results, by the step's id. */
export interface StepResult {
  readonly part: Part;
  readonly about: string;
  readonly state: StepState;
  /** Why it is not done. */
  readonly reason?: string;
  readonly seconds?: number;
  readonly date: string;
  /** Also of a step that failed later. */
  readonly rows: readonly Row[];
}

/** What a step's process prints, a JSON object a line. Other lines are ignored. */
export type StepMessage =
  | { readonly row: Row }
  | { readonly end: 'done' }
  | { readonly end: 'not-built' | 'not-run'; readonly reason: string };

/** Thrown by a step: the project cannot do this yet, or this machine lacks what it takes. */
export class StepEnds extends Error {
  readonly end: 'not-built' | 'not-run';

  constructor(end: 'not-built' | 'not-run', reason: string) {
    super(reason);
    this.end = end;
  }
}

export type Report = (row: Row) => void;
