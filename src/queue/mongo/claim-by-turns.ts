/**
 * Claims pending documents by turns: of each tenant one, in the order of the tenants' names. Documents without a tenant are one tenant's like the others'.
 * A worker remembers whose turn was the last. A turn costs at most four reads of an index, however many tenants and documents there are.
 */
import { randomBytes } from 'node:crypto';
import { claimEntries, HEAD_SIZE, MAX_CLAIM_MS, type PendingOptions, SPREAD_FROM } from './claim-pending.ts';
import type { PromptsCollection } from './prompts-collection.ts';
import type { PromptFilter, PromptProjection } from './statement-types.ts';
import { pendingZones } from './walk-plans.ts';

/** A turn takes one document; where workers meet, they spread over more. */
const TURN_SIZE = 4;

/** Whose turn was the last. */
export interface Turn {
  tenant: unknown;
}

/** Workers that start together begin with different tenants. */
export function firstTurn(): Turn {
  return { tenant: randomBytes(6).toString('base64url') };
}

/** @returns whether anything was claimed @throws as `run` */
export async function claimByTurns(prompts: PromptsCollection, turn: Turn, options: PendingOptions): Promise<boolean> {
  const { limit, claimed } = options;
  const startedMs = performance.now();
  const before = claimed.length;
  const without = new Set<string>();
  while (claimed.length < limit && prompts.signal?.aborted !== true && performance.now() - startedMs < MAX_CLAIM_MS) {
    const next = await nextTenant(prompts, turn);
    if (next === undefined || without.has(nameOf(next))) break;
    turn.tenant = next.tenant;
    const had = claimed.length;
    await takeTurn(prompts, next.tenant, { ...options, limit: had + 1 });
    if (claimed.length === had) without.add(nameOf(next));
    else without.clear();
  }
  return claimed.length > before;
}

/** Names that are no texts were not written by us; one of them stands for all. */
function nameOf({ tenant }: Turn): string {
  return typeof tenant === 'string' ? `= ${tenant}` : '';
}

/** The first behind the last one; behind the end again from the front. MongoDB orders null before every text, but compares it with none. */
async function nextTenant(prompts: PromptsCollection, { tenant: last }: Turn): Promise<Turn | undefined> {
  const behind: PromptFilter = { 'job.tenant': typeof last === 'string' ? { $gt: last } : { $gte: '' } };
  return (await firstTenant(prompts, behind)) ?? firstTenant(prompts, {});
}

async function firstTenant(prompts: PromptsCollection, range: PromptFilter): Promise<Turn | undefined> {
  const { collection, scope, bounds, hints } = prompts;
  const filter: PromptFilter = { ...scope, ...range, status: 'pending' };
  const projection: PromptProjection = { _id: 1, 'job.tenant': 1 };
  const options = { projection, sort: { 'job.tenant': 1 }, limit: 1, ...bounds, ...hints.turns } as const;
  const [found] = await prompts.run(() => collection.find(filter, options).toArray());
  if (found === undefined) return undefined;
  const { job } = found as { readonly job?: { readonly tenant?: unknown } | null };
  return { tenant: job?.tenant ?? null };
}

async function takeTurn(prompts: PromptsCollection, tenant: unknown, options: PendingOptions): Promise<void> {
  const size = options.contention.rate > SPREAD_FROM ? HEAD_SIZE : TURN_SIZE;
  const filter: PromptFilter = { ...prompts.scope, 'job.tenant': { $eq: tenant } };
  for (const zone of pendingZones({ filter, hint: 'turns' })) {
    const entries = await prompts.walks.pending.lookAt(prompts, zone, size);
    if (entries.length > 0) await claimEntries(prompts, entries, options);
    if (options.claimed.length >= options.limit) return;
  }
}
