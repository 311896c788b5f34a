/**
 * Decides which webhooks are sent at the same time: a few in all, fewer to one host, and never all to hosts that documents name. So neither a slow
 * receiver nor a stranger with many names keeps the others waiting. It also knows how long a host has taken, to say when it may have room again.
 */

/** Where a webhook goes. */
export interface Lane {
  /** Name and port. */
  readonly host: string;
  /** The operator's own URL, not a document's. */
  readonly isOperators: boolean;
}

export interface SlotLimits {
  readonly total: number;
  readonly perHost: number;
}

interface HostFacts {
  /** When each attempt that is under way began. */
  readonly begunMs: Set<number>;
  /** Of late. */
  usualMs: number;
  /** Until then its slots are spoken for. */
  reservedUntilMs: number;
}

/** A host is slow if an attempt lasts so long: then webhooks to other hosts no longer wait behind it. */
const SLOW_MS = 500;
/** So many hosts without an attempt under way are remembered. */
const MAX_IDLE_HOSTS = 256;

export class DeliverySlots {
  readonly #limits: SlotLimits;
  readonly #nowMs: () => number;
  readonly #hosts = new Map<string, HostFacts>();
  #busy = 0;
  #documents = 0;

  constructor(limits: SlotLimits, nowMs: () => number = () => performance.now()) {
    this.#limits = limits;
    this.#nowMs = nowMs;
  }

  /** Slots that nobody has. */
  get free(): number {
    return this.#limits.total - this.#busy;
  }

  mayBegin({ host, isOperators }: Lane): boolean {
    const { total, perHost } = this.#limits;
    if (this.free <= 0 || (this.#hosts.get(host)?.begunMs.size ?? 0) >= perHost) return false;
    return isOperators || this.#documents < Math.max(1, total - perHost);
  }

  /** Takes a slot. @returns a function that frees it */
  begin({ host, isOperators }: Lane): () => void {
    const facts = this.#factsOf(host);
    let begunMs = this.#nowMs();
    // Two tries that begin in the same moment are two.
    while (facts.begunMs.has(begunMs)) begunMs += 1e-3;
    facts.begunMs.add(begunMs);
    this.#busy++;
    if (!isOperators) this.#documents++;
    return () => {
      if (!facts.begunMs.delete(begunMs)) return;
      this.#busy--;
      if (!isOperators) this.#documents--;
      facts.usualMs = (facts.usualMs + (this.#nowMs() - begunMs)) / 2;
      this.#forgetIdle();
    };
  }

  /** For how long what waits for this host may hold up the search for others; 0: no longer. */
  msUntilSlow({ host }: Lane): number {
    const oldestMs = Math.min(...(this.#hosts.get(host)?.begunMs ?? []));
    return Number.isFinite(oldestMs) ? Math.max(0, oldestMs + SLOW_MS - this.#nowMs()) : 0;
  }

  /**
   * When the host may have room for one more, behind `waiting` and all that were put off before: in milliseconds from now. Undefined where that is
   * later than `withinMs`.
   */
  reserve(
    { host }: Lane,
    { waiting, withinMs }: { readonly waiting: number; readonly withinMs: number },
  ): number | undefined {
    const facts = this.#factsOf(host);
    const nowMs = this.#nowMs();
    const oldestMs = Math.min(nowMs, ...facts.begunMs);
    const stepMs = Math.max(facts.usualMs, nowMs - oldestMs) / this.#limits.perHost;
    const untilMs = Math.max(facts.reservedUntilMs, nowMs + waiting * stepMs) + stepMs;
    if (untilMs - nowMs > withinMs) return undefined;
    facts.reservedUntilMs = untilMs;
    return untilMs - nowMs;
  }

  #factsOf(host: string): HostFacts {
    const known = this.#hosts.get(host);
    if (known !== undefined) return known;
    const facts: HostFacts = { begunMs: new Set(), usualMs: 0, reservedUntilMs: 0 };
    this.#hosts.set(host, facts);
    return facts;
  }

  #forgetIdle(): void {
    if (this.#hosts.size <= MAX_IDLE_HOSTS) return;
    for (const [host, { begunMs }] of this.#hosts) if (begunMs.size === 0) this.#hosts.delete(host);
  }
}
