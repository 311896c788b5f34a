/** A prompt as the jobs API answers it. Names of machines and places in the store stay inside. */
import { ERROR_CODES, type ErrorCode } from '../../errors/error-codes.ts';
import { omitUndefined } from '../../lib/omit-undefined.ts';
import type { JobSummary } from '../../queue/prompt-queue.ts';
import type { Estimate } from '../front/front.ts';
import { PROMPTS_PATH } from './paths.ts';

/** Facts that the summary does not have. */
export interface ViewExtras {
  /** Scheme and host, without a slash at the end. */
  readonly host: string;
  readonly estimate?: Estimate | undefined;
  /** A link that needs no key; absent where the server cannot sign any. */
  readonly signedUrl?: ((index: number) => string) | undefined;
  /** About the request that made it. */
  readonly warnings?: readonly string[];
}

export type PromptView = Readonly<Record<string, unknown>>;

export function promptView(job: JobSummary, extras: ViewExtras): PromptView {
  const { id, status, text, priority, attempts } = job;
  const self = `${extras.host}${promptPath(id)}`;
  const warnings = [...(extras.warnings ?? []), ...(job.warnings ?? [])];
  return {
    id,
    status,
    text,
    priority,
    attempts,
    ...omitUndefined({
      model: job.model,
      request: job.request,
      progress: job.progress,
      queue: queueView(extras.estimate),
      images: status === 'completed' ? imagesView(job, { ...extras, self }) : undefined,
      seed: job.seed,
      parameters: job.parameters,
      warnings: warnings.length === 0 ? undefined : warnings,
      error: job.error === undefined ? undefined : errorView(job.error),
      last_error: job.lastError === undefined ? undefined : errorView(job.lastError),
      enqueued_at: job.enqueuedAt,
      started_at: job.startedAt,
      finished_at: job.finishedAt,
    }),
    urls: { self, events: `${self}/events`, cancel: `${self}/cancel` },
  };
}

export function promptPath(id: string): string {
  return `${PROMPTS_PATH}/${encodeURIComponent(id)}`;
}

/** `ahead`: jobs that are generated before it; `at_least`: there are more than that. */
function queueView(estimate: Estimate | undefined): PromptView | undefined {
  if (estimate === undefined) return undefined;
  const { position, isCapped, waitMs } = estimate;
  return {
    ahead: position,
    at_least: isCapped,
    estimated_wait_seconds: waitMs === undefined ? null : Math.ceil(waitMs / 1000),
  };
}

function imagesView(
  { imageUrls = [], seed }: JobSummary,
  { self, signedUrl }: Pick<ViewExtras, 'signedUrl'> & { readonly self: string },
): readonly PromptView[] {
  return imageUrls.map((_, index) => ({
    index,
    ...omitUndefined({ seed: seed === undefined ? undefined : seed + index }),
    url: `${self}/images/${index}.png`,
    ...omitUndefined({ signed_url: signedUrl?.(index) }),
  }));
}

/** A document's error is `code: sentence`; another program may have written anything there. */
export function errorView(error: string): { readonly code: ErrorCode; readonly detail: string } {
  const [, code, detail] = /^([a-z_]+): ([\s\S]*)$/.exec(error) ?? [];
  return code !== undefined && detail !== undefined && isErrorCode(code)
    ? { code, detail }
    : { code: 'internal', detail: error };
}

function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERROR_CODES, code);
}
