/** The pieces of the embedded queue's statements: what of a row's own state is believed, as `queue/job-record.ts` does it for what is read. */
import type { JobStatus, ModelSelection } from '../prompt-queue.ts';
import { NOW_MS } from './statements.ts';

/** A whole number from 0 that attempts can have; anything else counts as none. */
export const ATTEMPTS = 'CASE WHEN attempts BETWEEN 0 AND 1000000 THEN attempts ELSE 0 END';

/** The run that goes on, or a new one if the row has no name that the service could have made. */
export const RUN_ID = `CASE WHEN length(run_id) = 32 AND run_id NOT GLOB '*[^0-9a-f]*' THEN run_id ELSE lower(hex(randomblob(16))) END`;

/** Twice the longest lease that can be asked for. The service sets no lease that ends later. */
const LONGEST_LEASE_MS = 2 * 86_400_000;

const IS_FAR = `lease_until_ms > ${NOW_MS} + ${LONGEST_LEASE_MS}`;

/** The lease or the pause is over, or the service did not set it. */
export const LEASE_IS_OVER = `(lease_until_ms <= ${NOW_MS} OR ${IS_FAR})`;
/** When somebody can claim the row. */
export const LEASE_END_MS = `CASE WHEN ${IS_FAR} THEN ${NOW_MS} ELSE lease_until_ms END`;
/** A row without a lease that ends is nobody's to claim. */
export const IS_STUCK = 'lease_until_ms IS NULL';

/** Sets the end of a row, and clears the columns that an ended row no longer has. */
export const ENDED = `finished_ms = ${NOW_MS}, lease_until_ms = NULL, owner = NULL, progress_step = NULL, progress_steps = NULL,
  awaits_retry = 0, resume = 0, last_error = NULL, cancel_at_ms = NULL`;

/** The row's model is one of a selection. @param models names of parameters: its names as JSON, NULL for all; 1 for rows without a model */
export function isFor({ named, unnamed }: { readonly named: string; readonly unnamed: string }): string {
  return `(${named} IS NULL OR (model IS NULL AND ${unnamed}) OR (model IS NOT NULL AND model IN (SELECT value FROM json_each(${named}))))`;
}

/** The two parameters of `isFor`. */
export function parametersOf(models: ModelSelection | undefined): readonly [string | null, number] {
  return models === undefined ? [null, 1] : [JSON.stringify(models.named), models.takesUnnamed ? 1 : 0];
}

/** For `status IN …`. */
export function oneOf(statuses: readonly JobStatus[]): string {
  return `(${statuses.map((status) => `'${status}'`).join(', ')})`;
}
