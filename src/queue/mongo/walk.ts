/**
 * Walks through an index of the queue, past documents that no worker can take. The database refuses to change some of them; others belong to no
 * worker (`status: ["pending"]`). They stay where they are, so a look begins behind them, by their place in the index. This works for any number of
 * them. A look sees new documents before that place only among the first few documents. A whole pass is made anew after a pause: the server may then
 * accept a change that it refused before.
 */
import { growingPauseMs } from '../../lib/pause.ts';
import type { IndexHints } from './indexes.ts';
import { Refusals } from './refusals.ts';
import type { PromptStatements, StoredDocument } from './statements.ts';
import type { Spot, WalkPlan, Zone } from './walk-plan.ts';

interface Progress {
  readonly zone: Zone;
  spot: Spot;
}

/** The part of `PromptsCollection` that a walk uses. */
export interface WalkedCollection {
  readonly collection: PromptStatements;
  /** Always what the server knows now: to be read in each call. */
  readonly hints: IndexHints;
  /** For statements that search: the server ends them when the caller no longer waits. */
  readonly bounds: { readonly maxTimeMS: number };
  /** Runs one statement, repeated until it is answered. */
  run<T>(call: () => Promise<T>, signal?: AbortSignal): Promise<T>;
}

export interface WalkEntry {
  readonly document: StoredDocument;
  /** Where it was found. */
  readonly zone: Zone;
}

export interface Look {
  readonly entries: readonly WalkEntry[];
  /** Nothing else is there; else the look was broken off, and the next one goes on. */
  readonly isWhole: boolean;
}

export interface LookOptions {
  /** Enough to stop. */
  readonly wanted: number;
  /** How many documents are read at once. */
  readonly size: number;
}

/** So many documents are passed over in one look: about 20 ms of reading. */
const MAX_PASSED = 1000;
const PASSES = { firstMs: 1000, maxMs: 60_000 } as const;

export class Walk {
  readonly #plan: WalkPlan;
  readonly #refusals = new Refusals();
  #progress: readonly Progress[];
  readonly #readMs = new Map<Zone, number>();
  #hasPlace = false;
  #passes = 0;
  #nextPassMs = Infinity;
  #endedMs = -Infinity;
  #refusedAtEnd = 0;
  /** Anything else than refusals happened in this pass. */
  hasTaken = false;
  /** Refused in the pass before. */
  refusedBefore = 0;
  /** A refusal was reported. */
  hasWarned = false;
  /** So many refusals were reported. */
  told = 1;

  constructor(plan: WalkPlan) {
    this.#plan = plan;
    this.#progress = fromTheFront(plan);
  }

  /** Refused in this pass, and since it ended. */
  get refused(): number {
    return this.#refusals.count;
  }

  /** There are documents that this walk passes over. */
  get isPassing(): boolean {
    return this.#hasPlace || this.refused > 0;
  }

  /** Some are passed over, and what lies behind them is not known yet. */
  get isUnderWay(): boolean {
    return this.isPassing && this.#nextPassMs === Infinity;
  }

  /** The last pass ended at most so long ago. */
  endedWithin(ms: number): boolean {
    return performance.now() - this.#endedMs <= ms;
  }

  /** Milliseconds until the next pass; undefined where none is needed. */
  get msUntilNextPass(): number | undefined {
    return this.isPassing && !this.isUnderWay ? Math.max(0, this.#nextPassMs - performance.now()) : undefined;
  }

  isRefused(id: unknown): boolean {
    return this.#refusals.has(id);
  }

  /** The documents of a zone that can be tried now, for those who choose the zone themselves. */
  async lookAt(prompts: WalkedCollection, zone: Zone, size: number): Promise<readonly WalkEntry[]> {
    const progress = { zone, spot: { place: undefined, skip: 0 } };
    return this.#entriesOf(zone, await this.#read(prompts, progress, size));
  }

  refuse(id: unknown): void {
    this.#refusals.add(id);
  }

  /** Waits for the refusals since the last time. */
  async calm(signal: AbortSignal | undefined): Promise<void> {
    await this.#refusals.calm(signal);
  }

  /** The pass has seen everything. */
  endPass(): void {
    if (!this.isUnderWay) return;
    this.#refusedAtEnd = this.refused;
    this.#passes = this.hasTaken ? 1 : this.#passes + 1;
    this.#endedMs = performance.now();
    this.#nextPassMs = this.#endedMs + growingPauseMs(this.#passes, PASSES);
  }

  /** Begins at the front again, when it is time for it or when it must be known what is there now. */
  restart({ isDue }: { readonly isDue: boolean }): void {
    if (this.isUnderWay || (!isDue && performance.now() < this.#nextPassMs)) return;
    this.#progress = fromTheFront(this.#plan);
    this.#hasPlace = false;
    this.#nextPassMs = Infinity;
    this.#refusals.clear();
    this.refusedBefore = this.#refusedAtEnd;
    this.hasTaken = false;
  }

  /** Documents that can be tried now, in order. */
  async look(prompts: WalkedCollection, options: LookOptions): Promise<Look> {
    if (this.#hasPlace) {
      const entries = await this.#front(prompts, options);
      if (entries.length > 0) return { entries, isWhole: false };
    }
    return this.#onwards(prompts, options);
  }

  /** The first few of each zone, even if the walk has passed documents: new urgent ones come before those. */
  async #front(prompts: WalkedCollection, { wanted, size }: LookOptions): Promise<readonly WalkEntry[]> {
    const entries: WalkEntry[] = [];
    for (const progress of fromTheFront(this.#plan).filter(({ zone }) => zone.everyMs === undefined)) {
      entries.push(...this.#entriesOf(progress.zone, await this.#read(prompts, progress, size)));
      if (entries.length >= wanted) break;
    }
    return entries;
  }

  async #onwards(prompts: WalkedCollection, { wanted, size }: LookOptions): Promise<Look> {
    const entries: WalkEntry[] = [];
    let passed = 0;
    for (const progress of this.#progress) {
      if (!this.#isTimeFor(progress.zone, entries)) continue;
      for (;;) {
        const limit = passed === 0 ? Math.max(size, wanted) : MAX_PASSED;
        const documents = await this.#read(prompts, progress, limit);
        const front = this.#passedOver(documents);
        for (const document of documents.slice(0, front)) this.#pass(progress, document);
        const found = this.#entriesOf(progress.zone, documents);
        entries.push(...found);
        // There may be more of it.
        if (found.length > 0) this.#readMs.delete(progress.zone);
        passed += front;
        // If all documents of a window are passed over, the walk reads on behind it before the next zone.
        if (front < limit) break;
        if (passed >= MAX_PASSED) return { entries, isWhole: false };
      }
      if (entries.length >= wanted) return { entries, isWhole: false };
    }
    return { entries, isWhole: true };
  }

  #isTimeFor(zone: Zone, entries: readonly WalkEntry[]): boolean {
    if (zone.everyMs === undefined) return true;
    const nowMs = performance.now();
    if (entries.length > 0 || nowMs - (this.#readMs.get(zone) ?? -Infinity) < zone.everyMs) return false;
    this.#readMs.set(zone, nowMs);
    return true;
  }

  #pass(progress: Progress, document: StoredDocument): void {
    this.#hasPlace = true;
    progress.spot = progress.zone.behind(document, progress.spot);
  }

  async #read(prompts: WalkedCollection, { zone, spot }: Progress, limit: number): Promise<StoredDocument[]> {
    const { place, skip } = spot;
    const { projection } = this.#plan;
    const documents: StoredDocument[] = [];
    for (const { filter, sort, hint } of zone.finds(place)) {
      const missing = limit + skip - documents.length;
      if (missing <= 0) break;
      const found = await prompts.run(() =>
        prompts.collection
          .find(filter, { projection, sort, limit: missing, ...prompts.bounds, ...prompts.hints[hint] })
          .toArray(),
      );
      documents.push(...found);
    }
    return documents.slice(skip);
  }

  /** How many at the front are passed over. */
  #passedOver(documents: readonly StoredDocument[]): number {
    const index = documents.findIndex((document) => !this.#isPassed(document));
    return index === -1 ? documents.length : index;
  }

  #isPassed(document: StoredDocument): boolean {
    const kind = this.#plan.kindOf(document);
    return kind === 'foreign' || (kind === 'ours' && this.isRefused(document['_id']));
  }

  #entriesOf(zone: Zone, documents: readonly StoredDocument[]): WalkEntry[] {
    const end = documents.findIndex((document) => this.#plan.kindOf(document) === 'end');
    return documents
      .slice(0, end === -1 ? undefined : end)
      .filter((document) => !this.#isPassed(document))
      .map((document) => ({ document, zone }));
  }
}

function fromTheFront({ zones }: WalkPlan): Progress[] {
  return zones.map((zone) => ({ zone, spot: { place: undefined, skip: 0 } }));
}
