/**
 * The contract of the data that servers and workers exchange beside the documents. It is about repeated requests, jobs that lost their request,
 * requests that wait, watched jobs, previews, and living workers. It lies in collections or tables of its own (`text2img_requests`, `_previews`, `_watch`, `_workers`). All
 * times are the queue's clock; what is too old is removed by itself. Without the right to write there the queue works on: see `canWrite`.
 */

/** A request that may come again under its key. */
export interface RequestRecord {
  readonly id: string;
  /** Of the body of the first request under this id. */
  readonly bodyHash: string;
  /** The documents that belong to it, chosen before they were added. */
  readonly promptIds: readonly string[];
  /** All of them were added once: a missing one was deleted since. */
  readonly isAdded: boolean;
}

export interface NewRequest {
  readonly id: string;
  readonly bodyHash: string;
  readonly promptIds: readonly string[];
}

/** A job that a repeated request may take over, because its own request may be gone. */
export interface Orphan {
  readonly promptId: string;
  /** Its `job.door` when it was offered. */
  readonly door: string;
  /** Its request has said that it is gone; else it may still be waited for. */
  readonly isReleased: boolean;
}

/** A request that a server waits for, as the other servers of the queue see it. */
export interface WaitingRequest {
  readonly id: string;
  /** In the order of their images. */
  readonly promptIds: readonly string[];
  /** Its client is gone: nobody waits for its jobs any more. */
  readonly isLeft: boolean;
  /** How its caller stopped it; undefined: not at all. */
  readonly stop: RequestStop | undefined;
  /** Since a worker began, by the queue's clock; undefined: none has. */
  readonly elapsedMs: number | undefined;
}

export type RequestStop = 'interrupted' | 'skipped';

export interface KeepWaitingOptions {
  /** A worker has begun. */
  readonly hasBegun?: boolean | undefined;
  readonly isLeft?: boolean | undefined;
  /** Default: 10 seconds. */
  readonly forMs?: number | undefined;
}

/** A job that a server waits for. */
export interface WatchMark {
  readonly promptId: string;
  /** Somebody looks at its previews. Progress and a quick cancel are for all marked jobs. */
  readonly wantsPreviews: boolean;
}

export interface Preview {
  readonly promptId: string;
  /** Of the claim that made it. */
  readonly token: string;
  readonly png: Uint8Array;
  readonly step: number;
  readonly steps: number;
}

/** A worker's own description. Nothing relies on it for correctness. */
export interface WorkerRecord {
  readonly id: string;
  readonly host: string;
  readonly pid: number;
  readonly version: string;
  readonly device: string;
  /** The models that it claims, under their canonical names. */
  readonly models: readonly string[];
  readonly loadedModel?: string | undefined;
  /** It looks for its models or loads the first one, and claims nothing yet. */
  readonly isLoading?: boolean | undefined;
  /** It claims documents that name no model. */
  readonly takesUnnamed: boolean;
  readonly step?: number | undefined;
  readonly steps?: number | undefined;
  readonly images5min: number;
  readonly seconds5min: number;
  readonly sizes?: readonly WorkerSize[] | undefined;
  /** Of its last beat, by the queue's clock; ignored in `beat`. */
  readonly at: Date;
}

/** A size that a worker generates for a model. */
export interface WorkerSize {
  readonly model: string;
  readonly widthPx: number;
  readonly heightPx: number;
  readonly numInferenceSteps?: number | undefined;
}

export interface SideData {
  /**
   * False: this user may not write there. Then `requests.begin` throws `queue_unauthorized`; everything else keeps nothing and finds nothing, without
   * an error.
   */
  canWrite(): Promise<boolean>;

  readonly requests: {
    /**
     * Records the request, or finds the record of an earlier one, which a majority of the servers has then. Of several calls at once under one id
     * exactly one is new. It is kept for 24 hours.
     * @throws `queue_unauthorized` without the right to write
     */
    begin(request: NewRequest): Promise<RequestRecord & { readonly isNew: boolean }>;
    /** All its documents were added. */
    added(id: string): Promise<void>;
  };

  /** Jobs by the key of their request; each is kept for 15 minutes. */
  readonly orphans: {
    /** Offers the job, or says anew whether it is released. */
    offer(orphan: Orphan & { readonly key: string }): Promise<void>;
    /**
     * Takes one: a released one first, then one that nobody watches. Nobody else gets it for a while (default 10 seconds). The taker withdraws it then;
     * where the taker ends before, the next one gets it.
     * @returns `held`: there are some, but each is watched or taken
     */
    take(key: string, forMs?: number): Promise<Orphan | 'held' | undefined>;
    /** The job is no longer offered. @param door only what was offered under this one; default: all of it */
    withdraw(key: string, promptId: string, door?: string): Promise<void>;
  };

  /** A server marks the jobs that it waits for, so that their workers renew them often, and make previews where somebody looks at them. */
  readonly watches: {
    /** All in one write. A mark that lasts longer stays, and so does a longer wish for previews. @param forMs default 10 seconds */
    mark(marks: readonly WatchMark[], forMs?: number): Promise<void>;
    /** Those of them that are watched now. */
    marked(promptIds: readonly string[]): Promise<ReadonlyMap<string, Pick<WatchMark, 'wantsPreviews'>>>;
    /** 0: nobody watches it. */
    msLeft(promptId: string): Promise<number>;
  };

  /** Requests that are waited for, by caller, so that any server can tell their progress and stop them. */
  readonly waits: {
    /** Records the request, or says anew what is known of it: how it was stopped stays. */
    keep(
      caller: string,
      request: Pick<WaitingRequest, 'id' | 'promptIds'>,
      options?: KeepWaitingOptions,
    ): Promise<void>;
    /** In the order of their ids, at most `MOST_WAITS`. */
    of(caller: string): Promise<readonly WaitingRequest[]>;
    /** An interrupted request stays so. Nothing happens where it is not there. */
    stop(caller: string, id: string, stop: RequestStop): Promise<void>;
    end(caller: string, id: string): Promise<void>;
  };

  /** The last preview of each job; each is kept for 10 minutes. */
  readonly previews: {
    put(preview: Preview): Promise<void>;
    get(promptId: string): Promise<Preview | undefined>;
    remove(promptId: string): Promise<void>;
  };

  readonly workers: {
    /** Every 10 seconds. */
    beat(worker: WorkerRecord): Promise<void>;
    /** Those whose last beat is at most a minute old, and that have not left, in the order of their ids. */
    living(): Promise<readonly WorkerRecord[]>;
    /** The models of all workers of the last 24 hours that had one loaded, sorted, each once. */
    modelsOfDay(): Promise<readonly string[]>;
    /** Its models stay known for the day. */
    leave(id: string): Promise<void>;
  };

  /** Values of JSON that a server keeps for good. */
  readonly settings: {
    get(key: string): Promise<unknown>;
    set(key: string, value: unknown): Promise<void>;
  };
}

/** How long each lasts. */
export const REQUEST_MS = 24 * 60 * 60_000;
export const ORPHAN_MS = 15 * 60_000;
export const TAKEN_MS = 10_000;
export const WATCH_MS = 10_000;
export const WAIT_MS = 10_000;
/** Of one caller. A server has as many at most, unless the operator says otherwise. */
export const MOST_WAITS = 1000;
export const PREVIEW_MS = 10 * 60_000;
export const WORKER_MS = 60_000;
export const WORKER_DAY_MS = 24 * 60 * 60_000;
