/**
 * Claims pending documents by turns: of each tenant one, in the order of the tenants' names. Documents without a tenant are one tenant's like the others'.
 * A worker remembers whose turn was the last. A turn costs at most four reads of an index, however many tenants and documents there are.
 */
import { randomBytes } from 'node:crypto';
import { ObjectId } from 'mongodb';
import { claimEntries, HEAD_SIZE, MAX_CLAIM_MS, type PendingOptions, SPREAD_FROM } from './claim-pending.ts';
import type { PromptsCollection } from './prompts-collection.ts';
import type { Expression, PromptFilter, PromptProjection } from './statement-types.ts';
import type { WalkEntry } from './walk.ts';
import { PENDING_ZONES, pendingZones } from './walk-plans.ts';

/** A turn takes one document; where workers meet, they spread over more. */
const TURN_SIZE = 4;
/** Where the database refuses documents, the others lie behind them. */
const PASSING_SIZE = 256;
const MODELS_AT_ONCE = 25;

const IS_TEXT: Expression = { $eq: [{ $type: '$job.tenant' }, 'string'] };

/** Whose turn was the last; null: those without a tenant. */
export interface Turn {
  tenant: string | null;
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

function nameOf({ tenant }: Turn): string {
  return tenant === null ? '' : `= ${tenant}`;
}

/**
 * The first name behind the last one. Behind the end come those without a tenant, and then again the first name. A tenant that is no text has no turn.
 * The usual walk ends such a document. The turn of a name ends the lists with this name.
 */
async function nextTenant(prompts: PromptsCollection, { tenant: last }: Turn): Promise<Turn | undefined> {
  const behind = await firstName(prompts, last === null ? { $gte: '' } : { $gt: last });
  if (behind !== undefined) return { tenant: behind };
  if (await hasNameless(prompts)) return { tenant: null };
  const first = last === null ? undefined : await firstName(prompts, { $gte: '' });
  return first === undefined ? undefined : { tenant: first };
}

type Range = { readonly $gt: string } | { readonly $gte: string };

async function firstName(prompts: PromptsCollection, range: Range): Promise<string | undefined> {
  const { collection, scope, bounds, hints } = prompts;
  // MongoDB would order a list by its smallest element, also one outside the range.
  const filter: PromptFilter = { ...scope, status: 'pending', 'job.tenant': range, $expr: IS_TEXT };
  const projection: PromptProjection = { _id: 1, 'job.tenant': 1 };
  const options = { projection, sort: { 'job.tenant': 1 }, limit: 1, ...bounds } as const;
  const [found] = await prompts.run(() => collection.find(filter, { ...options, ...hints.turns }).toArray());
  const { job } = (found ?? {}) as { readonly job?: { readonly tenant?: unknown } };
  return typeof job?.tenant === 'string' ? job.tenant : undefined;
}

async function hasNameless(prompts: PromptsCollection): Promise<boolean> {
  const { collection, scope, bounds, hints } = prompts;
  const filter: PromptFilter = { ...scope, status: 'pending', 'job.tenant': { $eq: null } };
  const options = { projection: { _id: 1 }, limit: 1, ...bounds } as const;
  return (await prompts.run(() => collection.find(filter, { ...options, ...hints.turns }).toArray())).length > 0;
}

/** Higher priorities first, then older ones; where models are read in groups, the age is known of ObjectIds only. */
async function takeTurn(prompts: PromptsCollection, tenant: unknown, options: PendingOptions): Promise<void> {
  const { pending } = prompts.walks;
  const size = pending.isPassing ? PASSING_SIZE : options.contention.rate > SPREAD_FROM ? HEAD_SIZE : TURN_SIZE;
  const zones = groupsOf(prompts.models, tenant).map((group) =>
    pendingZones({ filter: { 'job.model': { $in: group }, 'job.tenant': { $eq: tenant } }, hint: 'turns' }),
  );
  for (let place = 0; place < PENDING_ZONES; place++) {
    const entries: WalkEntry[] = [];
    for (const zone of zones.map((all) => all[place]).filter((one) => one !== undefined))
      entries.push(...(await pending.lookAt(prompts, zone, size)));
    if (zones.length > 1) entries.sort(byRank);
    if (entries.length > 0) await claimEntries(prompts, entries, options);
    if (options.claimed.length >= options.limit) return;
  }
}

/**
 * The server merges at most 200 scans of an index, else it reads and sorts everything. Measured without a tenant: 90 keys for 32 models, 31,000 of 40,000
 * for 33. It makes one scan for each combination of model, tenant and priority, and two for each null.
 */
function groupsOf(models: PromptsCollection['models'], tenant: unknown): readonly PromptsCollection['models'][] {
  if (tenant !== null || models.length <= MODELS_AT_ONCE) return [models];
  const half = Math.ceil(models.length / 2);
  return [...groupsOf(models.slice(0, half), tenant), ...groupsOf(models.slice(half), tenant)];
}

function byRank({ document: a }: WalkEntry, { document: b }: WalkEntry): number {
  const [ofA, ofB] = [Number(a['priority'] ?? 0), Number(b['priority'] ?? 0)];
  if (ofA !== ofB) return ofB - ofA;
  if (!(a._id instanceof ObjectId && b._id instanceof ObjectId)) return 0;
  return a._id.toHexString() < b._id.toHexString() ? -1 : 1;
}
