/**
 * The `txt2img` requests that this server is waiting for, by caller. `shared-requests.ts` adds those of other servers. A caller is an API key. Where the
 * server asks for no keys, all callers are one, as in the web UI.
 */
import { randomUUID } from 'node:crypto';
import type { RequestStop } from '../../queue/side-data.ts';
import type { Caller } from '../front/caller.ts';
import type { JobEvent } from '../front/front.ts';

/** A request whose progress is shown, and which can be stopped. */
export interface ShownRequest {
  readonly ids: readonly string[];
  readonly open: readonly string[];
  /** The first job that has not ended. */
  readonly current: string | undefined;
  /** Of the current job. */
  readonly steps: { readonly step: number; readonly steps: number };
  /** Since a worker began; undefined: none has. */
  readonly elapsedMs: number | undefined;
  readonly stop: RequestStop | undefined;
}

interface RunningOptions {
  readonly ids: readonly string[];
  readonly nowMs: () => number;
}

export class RunningRequest implements ShownRequest {
  /** Not the one that the client gave: it may give one to two requests. */
  readonly id = randomUUID();
  readonly ids: readonly string[];
  /** Called once, when a worker begins. */
  onBegun: (() => void) | undefined;
  readonly #ended = new Set<string>();
  readonly #nowMs: () => number;
  #startedMs: number | undefined;
  #steps = { step: 0, steps: 0 };
  #stop: RequestStop | undefined;

  constructor({ ids, nowMs }: RunningOptions) {
    this.ids = ids;
    this.#nowMs = nowMs;
  }

  /** The first job that has not ended. */
  get current(): string | undefined {
    return this.open[0];
  }

  get open(): readonly string[] {
    return this.ids.filter((id) => !this.#ended.has(id));
  }

  /** Steps of the current job. */
  get steps(): { readonly step: number; readonly steps: number } {
    return this.#steps;
  }

  /** Since a worker began; undefined: none has. */
  get elapsedMs(): number | undefined {
    return this.#startedMs === undefined ? undefined : this.#nowMs() - this.#startedMs;
  }

  /** How the caller stopped it; undefined: not at all. */
  get stop(): RequestStop | undefined {
    return this.#stop;
  }

  /** @returns the jobs that must be cancelled */
  interrupt(): readonly string[] {
    this.#stop = 'interrupted';
    return this.open;
  }

  /** @returns the job that must be cancelled; the request goes on with the next one */
  skip(): readonly string[] {
    this.#stop ??= 'skipped';
    return this.open.slice(0, 1);
  }

  onEvent(event: JobEvent): void {
    switch (event.type) {
      case 'completed':
      case 'error':
        this.#ended.add(event.job.id);
        this.#steps = { step: 0, steps: 0 };
        return;
      case 'status':
        if (event.status === 'processing') this.#begin();
        return;
      case 'progress':
      case 'preview':
        this.#begin();
        if (event.id === this.current) this.#steps = { step: event.step, steps: event.steps };
    }
  }

  #begin(): void {
    if (this.#startedMs !== undefined) return;
    this.#startedMs = this.#nowMs();
    this.onBegun?.();
  }
}

export class RunningRequests {
  readonly #byCaller = new Map<string, Set<RunningRequest>>();
  readonly #nowMs: () => number;

  constructor({ nowMs }: Pick<RunningOptions, 'nowMs'>) {
    this.#nowMs = nowMs;
  }

  /** In the order in which they began. */
  of(caller: Caller): readonly RunningRequest[] {
    return Array.from(this.#byCaller.get(callerName(caller)) ?? []);
  }

  /** Runs `wait` as a request of the caller that is waited for. */
  async during<T>(caller: Caller, ids: readonly string[], wait: (request: RunningRequest) => Promise<T>): Promise<T> {
    const name = callerName(caller);
    const request = new RunningRequest({ ids, nowMs: this.#nowMs });
    const requests = this.#byCaller.get(name) ?? new Set();
    this.#byCaller.set(name, requests.add(request));
    try {
      return await wait(request);
    } finally {
      requests.delete(request);
      if (requests.size === 0) this.#byCaller.delete(name);
    }
  }
}

/** No key has an empty name. */
export function callerName({ key }: Caller): string {
  return key?.name ?? '';
}
