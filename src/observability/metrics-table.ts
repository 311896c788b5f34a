/** Every metric, once: its name, its labels, and what it says. `metrics.ts` makes them, and docs/metrics.md lists them. */

export interface MetricSpec {
  readonly name: string;
  readonly kind: 'counter' | 'gauge' | 'histogram';
  /** One sentence without its full stop. */
  readonly help: string;
  readonly labels?: readonly string[];
  /** Upper bounds, in seconds. */
  readonly buckets?: readonly number[];
}

/** A stage takes milliseconds with the demo model, and minutes with a large one on a CPU. */
const STAGE_BUCKETS = [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000];
/** A request may wait for its image as long as `--wait-timeout` allows. */
const REQUEST_BUCKETS = [0.005, 0.02, 0.1, 0.5, 1, 3, 10, 30, 60, 120, 300];
/** From the first attempt to the last of ten (`webhook/retry-schedule.ts`). */
const LAG_BUCKETS = [0.1, 1, 10, 60, 300, 1800, 7200, 36_000, 86_400, 259_200];

export const METRICS = {
  build: {
    name: 'text2img_build_info',
    kind: 'gauge',
    help: 'Always 1; its label is the version of text2img',
    labels: ['version'],
  },
  queueUp: {
    name: 'text2img_queue_up',
    kind: 'gauge',
    help: 'Whether the last look at the queue worked: 1 or 0',
  },
  queueDepth: {
    name: 'text2img_queue_depth',
    kind: 'gauge',
    help: 'Pending jobs, counted up to 10000',
  },
  queueDepthCapped: {
    name: 'text2img_queue_depth_capped',
    kind: 'gauge',
    help: 'Whether more jobs are pending than were counted: 1 or 0',
  },
  oldestPending: {
    name: 'text2img_queue_oldest_pending_seconds',
    kind: 'gauge',
    help: 'Age of the oldest pending job; 0 when none is pending',
  },
  jobsEnded: {
    name: 'text2img_jobs_ended_total',
    kind: 'counter',
    help: 'Jobs that this process ended, by their end and, for errors, their code',
    labels: ['end', 'code'],
  },
  attempts: {
    name: 'text2img_attempts_total',
    kind: 'counter',
    help: 'Attempts that this process began',
  },
  retries: {
    name: 'text2img_retries_total',
    kind: 'counter',
    help: 'Attempts that failed and are made again, by code',
    labels: ['code'],
  },
  givenUp: {
    name: 'text2img_claims_given_up_total',
    kind: 'counter',
    help: 'Claims that ended without an end of the job: released to the queue, or lost to a cancel or another worker',
    labels: ['reason'],
  },
  stageSeconds: {
    name: 'text2img_stage_seconds',
    kind: 'histogram',
    help: 'Seconds of each stage of a completed job',
    labels: ['stage'],
    buckets: STAGE_BUCKETS,
  },
  images: {
    name: 'text2img_images_total',
    kind: 'counter',
    help: 'Images of completed jobs',
  },
  steps: {
    name: 'text2img_steps_total',
    kind: 'counter',
    help: 'Denoising steps, of all images together',
  },
  pixels: {
    name: 'text2img_pixels_total',
    kind: 'counter',
    help: 'Pixels of the images of completed jobs',
  },
  webhookAttempts: {
    name: 'text2img_webhook_attempts_total',
    kind: 'counter',
    help: 'Attempts at webhooks, by their outcome',
    labels: ['outcome'],
  },
  webhookLag: {
    name: 'text2img_webhook_lag_seconds',
    kind: 'histogram',
    help: 'Seconds from the end of a job until its webhook was delivered',
    buckets: LAG_BUCKETS,
  },
  requests: {
    name: 'text2img_http_requests_total',
    kind: 'counter',
    help: 'Answered HTTP requests, by method, route pattern and status',
    labels: ['method', 'route', 'status'],
  },
  requestSeconds: {
    name: 'text2img_http_request_seconds',
    kind: 'histogram',
    help: 'Seconds until an HTTP request was answered, by route pattern',
    labels: ['route'],
    buckets: REQUEST_BUCKETS,
  },
} as const satisfies Record<string, MetricSpec>;

export type MetricName = keyof typeof METRICS;
