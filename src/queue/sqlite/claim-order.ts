/**
 * Which pending rows a claim takes, where it is for some models only. Each model has one statement, and their rows are merged here: for `model IN …` SQLite
 * would sort all of them (8 ms at 10⁶ rows). By turns each tenant gives one row, in the order of their names; rows without a tenant are one tenant's.
 */
import { randomBytes } from 'node:crypto';
import type { ModelSelection } from '../prompt-queue.ts';
import type { Row, Statements } from './statements.ts';

const HEAD = `
SELECT seq, priority FROM prompts WHERE status = 'pending' AND model IS ?1 ORDER BY priority DESC, seq LIMIT ?2`;
/** `?3`: rows that are chosen already, as JSON. */
const TENANT_HEAD = `
SELECT seq, priority FROM prompts
WHERE status = 'pending' AND model IS ?1 AND tenant IS ?2 AND seq NOT IN (SELECT value FROM json_each(?3))
ORDER BY priority DESC, seq LIMIT 1`;
const NEXT_TENANT = `
SELECT tenant FROM prompts WHERE status = 'pending' AND model IS ?1 AND tenant > ?2 ORDER BY tenant LIMIT 1`;
/** NULL is the first. */
const FIRST_TENANT = `
SELECT tenant FROM prompts WHERE status = 'pending' AND model IS ?1 ORDER BY tenant LIMIT 1`;

/** For the test that each of them enters an index. */
export const CLAIM_READS = { HEAD, TENANT_HEAD, NEXT_TENANT, FIRST_TENANT } as const;

/** Whose turn was the last. */
export interface Turn {
  tenant: string | null;
}

/** Workers that start together begin with different tenants. */
export function firstTurn(): Turn {
  return { tenant: randomBytes(6).toString('base64url') };
}

/** @returns their `seq`, the first ones first */
export function nextOfModels(statements: Statements, models: ModelSelection, limit: number): readonly number[] {
  return namesOf(models)
    .flatMap((model) => statements.all(HEAD, model, limit))
    .map(toPlace)
    .toSorted(byRank)
    .slice(0, limit)
    .map(({ seq }) => seq);
}

/** @param turn is moved on */
export function nextByTurns(
  statements: Statements,
  turn: Turn,
  { models, limit }: { readonly models: ModelSelection; readonly limit: number },
): readonly number[] {
  const names = namesOf(models);
  const chosen: number[] = [];
  const without = new Set<string | null>();
  while (chosen.length < limit) {
    const next = nextTenant(statements, turn, names);
    if (next === undefined || without.has(next.tenant)) break;
    turn.tenant = next.tenant;
    const taken = JSON.stringify(chosen);
    const [first] = names
      .flatMap((model) => statements.all(TENANT_HEAD, model, next.tenant, taken))
      .map(toPlace)
      .toSorted(byRank);
    if (first === undefined) without.add(next.tenant);
    else {
      without.clear();
      chosen.push(first.seq);
    }
  }
  return chosen;
}

/** The first behind the last one; behind the end again from the front. No text is smaller than the empty one. */
function nextTenant(
  statements: Statements,
  { tenant: last }: Turn,
  names: readonly (string | null)[],
): Turn | undefined {
  const behind = names.flatMap((model) =>
    last === null ? statements.all(NEXT_TENANT, model, '') : statements.all(NEXT_TENANT, model, last),
  );
  const found = behind.length > 0 ? behind : names.flatMap((model) => statements.all(FIRST_TENANT, model));
  if (found.length === 0) return undefined;
  const tenants = found.map(({ tenant }) => tenant).filter((tenant) => typeof tenant === 'string');
  if (tenants.length < found.length) return { tenant: null };
  return { tenant: tenants.toSorted(byBytes)[0] ?? null };
}

/** As the column has them: rows without a model have NULL. */
export function namesOf({ named, takesUnnamed }: ModelSelection): readonly (string | null)[] {
  return takesUnnamed ? [...named, null] : named;
}

interface Place {
  readonly seq: number;
  readonly priority: number;
}

function toPlace({ seq, priority }: Row): Place {
  return { seq: Number(seq), priority: Number(priority) };
}

function byRank(a: Place, b: Place): number {
  return b.priority - a.priority || a.seq - b.seq;
}

/** As SQLite orders them. */
function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
