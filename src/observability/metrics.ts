/**
 * Counts what this process does, for Prometheus. Each door tells it what happened; a scrape reads the counts and takes one bounded look at the queue.
 * `metrics-table.ts` holds the names.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { untilAborted } from '../lib/until-aborted.ts';
import { VERSION } from '../version.ts';
import { METRICS, type MetricName, type MetricSpec } from './metrics-table.ts';

/** Enough to see a queue grow. A count of all pending jobs takes 0.45 s with a million of them (measured). */
export const MOST_COUNTED = 10_000;
/** Scrapes that come faster share one look at the queue. */
const LOOK_KEPT_MS = 5000;
/** A queue that does not answer must not hold the scrape. */
const LOOK_PATIENCE_MS = 2000;

/** An event of a job at work; the worker's events are such. */
export type CountedJobEvent =
  | { readonly type: 'claimed' | 'released' | 'lost'; readonly id: string }
  | { readonly type: 'progress'; readonly id: string; readonly step: number }
  | {
      readonly type: 'completed';
      readonly id: string;
      readonly imageUrls: readonly string[];
      /** In the wire's names. */
      readonly parameters: Readonly<Record<string, unknown>>;
      readonly durationsMs: object;
    }
  | { readonly type: 'failed' | 'retried'; readonly id: string; readonly code: string };

export interface CountedRequest {
  readonly method: string;
  /** The pattern, never the path: a path holds ids. */
  readonly route: string;
  readonly status: number;
  readonly seconds: number;
}

/** Bounded statements of a queue. */
export interface QueueLook {
  /** Pending jobs; the count ends at `most`. */
  depth(most: number): Promise<number>;
  oldestPendingMs(): Promise<number | undefined>;
}

interface SeenQueue {
  readonly depth: number;
  readonly oldestMs: number;
}

export class Metrics {
  readonly #registry = new Registry();
  readonly #metrics: ReadonlyMap<MetricName, Counter | Gauge | Histogram>;
  /** The last step that was counted, of each job at work. */
  readonly #steps = new Map<string, number>();
  readonly #keptMs: number;
  #queue: QueueLook | undefined;
  #looked: { readonly atMs: number; readonly seen: Promise<SeenQueue | undefined> } | undefined;

  /** @param options `keptMs`: how long a look at the queue is good, for tests */
  constructor({ keptMs = LOOK_KEPT_MS }: { readonly keptMs?: number } = {}) {
    this.#keptMs = keptMs;
    const registers = [this.#registry];
    this.#metrics = new Map(
      Object.entries<MetricSpec>(METRICS).map(([name, spec]) => [name as MetricName, metricOf(spec, registers)]),
    );
    collectDefaultMetrics({ register: this.#registry });
    this.#gauge('build').set({ version: VERSION }, 1);
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** The queue that scrapes look at; without one its gauges say nothing. */
  watchQueue(queue: QueueLook): void {
    this.#queue = queue;
  }

  ofJob(event: CountedJobEvent): void {
    switch (event.type) {
      case 'claimed':
        return this.#counter('attempts').inc();
      case 'progress':
        return this.#countSteps(event);
      case 'completed':
        this.#countCompleted(event);
        break;
      case 'failed':
        this.#counter('jobsEnded').inc({ end: 'error', code: event.code });
        break;
      case 'retried':
        this.#counter('retries').inc({ code: event.code });
        break;
      case 'released':
      case 'lost':
        this.#counter('givenUp').inc({ reason: event.type });
        break;
    }
    this.#steps.delete(event.id);
  }

  /** @param lagMs since the job ended, of a webhook that was delivered */
  ofWebhook(outcome: 'delivered' | 'retry' | 'dead', lagMs?: number): void {
    this.#counter('webhookAttempts').inc({ outcome });
    if (outcome === 'delivered' && lagMs !== undefined)
      this.#histogram('webhookLag').observe(Math.max(0, lagMs) / 1000);
  }

  ofRequest({ method, route, status, seconds }: CountedRequest): void {
    this.#counter('requests').inc({ method, route, status });
    this.#histogram('requestSeconds').observe({ route }, seconds);
  }

  /** The page that Prometheus reads. Never throws for the queue's sake: `text2img_queue_up` says that it cannot be read. */
  async page(): Promise<string> {
    await this.#lookAtQueue();
    return this.#registry.metrics();
  }

  #countSteps({ id, step }: { readonly id: string; readonly step: number }): void {
    const before = this.#steps.get(id) ?? 0;
    if (step <= before) return;
    this.#steps.set(id, step);
    this.#counter('steps').inc(step - before);
  }

  #countCompleted({ imageUrls, parameters, durationsMs }: Extract<CountedJobEvent, { type: 'completed' }>): void {
    this.#counter('jobsEnded').inc({ end: 'completed', code: '' });
    this.#counter('images').inc(imageUrls.length);
    const [width, height] = [parameters['width'], parameters['height']];
    if (typeof width === 'number' && typeof height === 'number')
      this.#counter('pixels').inc(width * height * imageUrls.length);
    for (const [stage, ms] of Object.entries(durationsMs))
      if (typeof ms === 'number') this.#histogram('stageSeconds').observe({ stage }, ms / 1000);
  }

  async #lookAtQueue(): Promise<void> {
    const queue = this.#queue;
    if (queue === undefined) return;
    const nowMs = performance.now();
    if (this.#looked === undefined || nowMs - this.#looked.atMs >= this.#keptMs)
      this.#looked = { atMs: nowMs, seen: look(queue) };
    const seen = await untilAborted(this.#looked.seen, AbortSignal.timeout(LOOK_PATIENCE_MS));
    this.#gauge('queueUp').set(seen === undefined ? 0 : 1);
    // The last known figures would look like present ones.
    const { depth = Number.NaN, oldestMs = Number.NaN } = seen ?? {};
    this.#gauge('queueDepth').set(Math.min(depth, MOST_COUNTED));
    this.#gauge('queueDepthCapped').set(seen === undefined ? Number.NaN : Number(depth > MOST_COUNTED));
    this.#gauge('oldestPending').set(oldestMs / 1000);
  }

  // The table says of which kind each metric is.
  #counter(name: MetricName): Counter {
    return this.#metrics.get(name) as Counter;
  }

  #gauge(name: MetricName): Gauge {
    return this.#metrics.get(name) as Gauge;
  }

  #histogram(name: MetricName): Histogram {
    return this.#metrics.get(name) as Histogram;
  }
}

function metricOf(spec: MetricSpec, registers: Registry[]): Counter | Gauge | Histogram {
  const { name, help, labels = [], buckets = [] } = spec;
  const common = { name, help: `${help}.`, labelNames: labels, registers };
  switch (spec.kind) {
    case 'counter':
      return new Counter(common);
    case 'gauge':
      return new Gauge(common);
    case 'histogram':
      return new Histogram({ ...common, buckets: [...buckets] });
  }
}

/** @returns undefined where the queue could not be read */
async function look(queue: QueueLook): Promise<SeenQueue | undefined> {
  try {
    const [depth, oldestMs = 0] = await Promise.all([queue.depth(MOST_COUNTED + 1), queue.oldestPendingMs()]);
    return { depth, oldestMs };
  } catch {
    return undefined;
  }
}
