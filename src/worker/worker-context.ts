/** The state that the steps of one worker share. */
import type { AutomaticSchedules } from '../job/automatic-schedules.ts';
import type { ResolvedGenerationRequest } from '../job/generation-request.ts';
import type { ModelFacts } from '../job/model-facts.ts';
import type { DeadlineSweeps } from '../queue/deadline-sweeps.ts';
import type { Alive } from './alive.ts';
import type { ClaimedJob } from './claimed-job.ts';
import type { Failures } from './failures.ts';
import type { GeneratedImages } from './kept-images.ts';
import type { RecentWork } from './recent-work.ts';
import type { GracefulStop } from './shutdown.ts';
import type { Trouble } from './trouble.ts';
import type { WatchedClaims } from './watched-claims.ts';
import type { WorkerEvent, WorkerOptions } from './worker-contract.ts';

export interface WorkerContext {
  readonly options: WorkerOptions;
  readonly failures: Failures;
  readonly automaticSchedules: AutomaticSchedules;
  readonly trouble: Trouble;
  readonly stop: GracefulStop;
  readonly alive: Alive;
  readonly watched: WatchedClaims;
  /** Ends jobs whose time is over. */
  readonly deadlines: Pick<DeadlineSweeps, 'look'>;
  readonly work: RecentWork;
  /** Aborted: no further batch begins. */
  readonly ending: AbortSignal;
  readonly tell: (event: WorkerEvent) => void;
  /** A job's way to its end goes on beside the loop. It never rejects. */
  readonly publish: (publishing: Promise<void>) => void;
}

/** A claimed job that can be generated. */
export interface PreparedJob {
  readonly job: ClaimedJob;
  /** That it was claimed for. */
  readonly model: ModelFacts;
  readonly request: ResolvedGenerationRequest;
  /** Made by an attempt before this one, which could not store them. */
  readonly kept: GeneratedImages | undefined;
  /** URLs of an earlier run's images that stay beside this one's. */
  readonly surplus: readonly string[];
}

/** Jobs of one model that are generated together. */
export interface Batch {
  /** As the pool names it. */
  readonly modelId: string;
  /** A model that was never loaded says only then what its requests become. */
  readonly jobs: { readonly prepared: readonly PreparedJob[] } | { readonly claimed: readonly ClaimedJob[] };
}

/** A job's last act. When even that fails the lease ends by itself, and another attempt is made. Never rejects. */
export async function endJob(job: ClaimedJob, { failures }: WorkerContext, act: () => Promise<unknown>): Promise<void> {
  using _ = job;
  try {
    await act();
  } catch (error) {
    await failures.ofEnding(job, error);
  }
}
