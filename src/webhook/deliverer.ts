/**
 * Sends the webhooks while the engine generates: takes those that are due, sends several at once, records how each attempt ended. Several workers
 * share the outbox. If one crashes, the others can take its webhooks when the lease ends.
 */
import type { Logger } from '../observability/logger.ts';
import { EndablePause } from '../lib/endable-pause.ts';
import { growingPauseMs, pause } from '../lib/pause.ts';
import { untilAborted } from '../lib/until-aborted.ts';
import type { DeliveryOutcome, DueWebhook, WebhookOutbox } from '../queue/webhook-outbox.ts';
import { deliver, type DeliverOptions, NO_URL, TIMEOUT_MS } from './deliver.ts';
import { DeliverySlots, type Lane } from './delivery-slots.ts';
import { logOutcome, recordOutcome } from './outcomes.ts';

export interface DelivererOptions extends Omit<DeliverOptions, 'signal'> {
  readonly outbox: WebhookOutbox;
  readonly logger: Logger;
  /** Tries at the same time. */
  readonly concurrency?: number;
  /** Of them, to one host. */
  readonly perHost?: number;
  /** For so long no other worker takes a webhook that this one took. It is longer than an attempt can last. */
  readonly leaseMs?: number;
  /** Between two looks at an outbox in which nothing is due. */
  readonly pollMs?: number;
  /** Called for each attempt that counts. `lagMs`: since the job ended, where that is known. */
  readonly onOutcome?: ((outcome: 'delivered' | 'retry' | 'dead', lagMs: number | undefined) => void) | undefined;
}

export interface DeliverySummary {
  readonly delivered: number;
  /** Tries that failed and are repeated. */
  readonly failedTries: number;
  readonly dead: number;
  /** Closed because nobody says where they go. */
  readonly withoutUrl: number;
}

/** Taken, and waiting for a slot. */
interface Held {
  readonly webhook: DueWebhook;
  readonly lane: Lane;
  readonly takenMs: number;
}

const CONCURRENCY = 8;
const PER_HOST = 2;
const POLL_MS = 5000;
const LEASE_MS = 60_000;
/** Waiting for one host; what is more is put off. */
const MAX_HELD_PER_HOST = 16;
const MAX_HELD = 64;
/** A receiver that answers at all has answered by then. */
const STOP_MS = 2000;
/** For the last writes to the queue. */
const LAST_WRITES_MS = 1000;
const MIN_PAUSE_MS = 20;
const READ_PAUSES = { firstMs: 1000, maxMs: 60_000 } as const;

export class WebhookDeliverer implements AsyncDisposable {
  readonly #options: DelivererOptions;
  readonly #slots: DeliverySlots;
  readonly #summary = { delivered: 0, failedTries: 0, dead: 0, withoutUrl: 0 };
  #held: Held[] = [];
  readonly #underWay = new Set<Promise<void>>();
  readonly #cut = new AbortController();
  #stopping: Promise<void> | undefined;
  readonly #rest = new EndablePause();

  constructor(options: DelivererOptions) {
    this.#options = options;
    const { concurrency = CONCURRENCY, perHost = PER_HOST } = options;
    this.#slots = new DeliverySlots({ total: concurrency, perHost });
  }

  get summary(): DeliverySummary {
    return this.#summary;
  }

  /** A webhook became pending: do not wait for the next look. */
  notify(): void {
    this.#rest.end();
  }

  /**
   * Delivers until the signal is aborted, then returns at once: `drain` or `stop` see to the attempts that are under way. If the queue fails, it
   * tries again later.
   */
  async run(signal: AbortSignal): Promise<void> {
    const { logger, pollMs = POLL_MS } = this.#options;
    for (let failures = 0; !this.#isOver(signal); ) {
      try {
        await this.#untilIdle(signal);
        failures = 0;
        await this.#rest.pause((await this.#msUntilNext(pollMs, signal)) * (0.75 + Math.random() / 2), signal);
      } catch (error) {
        logger.repeated('the webhooks cannot be read; trying again', { error });
        await this.#rest.pause(growingPauseMs(++failures, READ_PAUSES), signal);
      }
    }
  }

  /**
   * Makes every attempt that falls due within `withinMs` from now. It ends then, with the attempts that are under way, even if more webhooks are due.
   * The last thing that a deliverer does; the signal stops it as `stop` does.
   * @throws what the queue throws
   */
  async drain({
    withinMs,
    signal,
  }: {
    readonly withinMs: number;
    readonly signal: AbortSignal;
  }): Promise<DeliverySummary> {
    const { timeoutMs = TIMEOUT_MS } = this.#options;
    const timeUp = AbortSignal.timeout(withinMs);
    const over = AbortSignal.any([signal, timeUp]);
    const deadlineMs = performance.now() + withinMs;
    try {
      while (!this.#isOver(over)) {
        await this.#untilIdle(over);
        // The attempts before them ended meanwhile: webhooks that waited for their host begin now.
        if (this.#held.length > 0 && this.#underWay.size === 0) continue;
        const dueMs = await this.#msUntilNext(undefined, over);
        if (this.#held.length > 0 && this.#underWay.size === 0) continue;
        const isDueInTime = dueMs !== undefined && performance.now() + dueMs <= deadlineMs;
        // An attempt that is under way may fail, and fall due again in time.
        if (!isDueInTime && this.#underWay.size === 0) break;
        await this.#rest.pause(isDueInTime ? Math.max(dueMs, MIN_PAUSE_MS) : withinMs, over);
      }
      await this.#release();
      const patience = AbortSignal.timeout(timeoutMs + STOP_MS);
      await untilAborted(Promise.all(this.#underWay), AbortSignal.any([signal, patience]));
    } finally {
      await this.stop();
    }
    return this.#summary;
  }

  /**
   * Begins no more attempts, and ends those under way: after two seconds by force. Returns within three seconds, even if something hangs; can be
   * called twice.
   */
  async stop(): Promise<void> {
    this.#stopping ??= (async () => {
      this.#rest.end();
      const released = this.#release();
      await Promise.race([Promise.all(this.#underWay), pause(STOP_MS)]);
      this.#cut.abort();
      await Promise.race([Promise.all([released, ...this.#underWay]), pause(LAST_WRITES_MS)]);
    })();
    await this.#stopping;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #isOver(signal: AbortSignal): boolean {
    return signal.aborted || this.#stopping !== undefined;
  }

  /** Takes and sends until nothing is due or nothing more may begin now. */
  async #untilIdle(signal: AbortSignal): Promise<void> {
    await this.#closeWithoutUrl(signal);
    while (!this.#isOver(signal)) {
      this.#beginHeld();
      const waitMs = this.#msUntilTaking();
      if (waitMs > 0) await this.#rest.pause(waitMs, signal);
      else if (((await untilAborted(this.#take(signal), signal)) ?? 0) === 0) return;
    }
  }

  /** Closes the webhooks that have no URL, all at once and with one log message. */
  async #closeWithoutUrl(signal: AbortSignal): Promise<void> {
    const { outbox, operatorUrl, logger } = this.#options;
    if (operatorUrl !== undefined || this.#isOver(signal)) return;
    const count = (await untilAborted(outbox.closeWithoutUrl(NO_URL), signal)) ?? 0;
    this.#summary.withoutUrl += count;
    if (count > 0)
      logger.warning(
        'webhooks are dead: neither their documents nor --callback-url name a URL; "text2img webhooks redrive" retries them',
        { count, reason: 'no_url' },
      );
  }

  /** 0 when more may be taken. If slots are free but webhooks wait for a full host, others are taken only when that host is slow. */
  #msUntilTaking(): number {
    const { pollMs = POLL_MS, perHost = PER_HOST } = this.#options;
    if (this.#slots.free <= 0) return pollMs;
    const waiting = Map.groupBy(this.#held, ({ lane }) => lane.host);
    const full = Array.from(waiting.values()).filter((held) => held.length >= perHost);
    return Math.max(0, ...full.map(([first]) => (first === undefined ? 0 : this.#slots.msUntilSlow(first.lane))));
  }

  /**
   * Counts as under way until each taken webhook has begun, waits or is released, even if the caller has stopped waiting. Otherwise a drain could end
   * while a webhook is being taken.
   * @returns how many there were
   */
  #take(signal: AbortSignal): Promise<number> {
    const taking = this.#claimDue();
    const ended = taking.then(
      () => undefined,
      () => undefined,
    );
    const settled = ended.then(() => {
      this.#underWay.delete(settled);
      // Else the asker goes on by itself.
      if (signal.aborted) this.#rest.end();
    });
    this.#underWay.add(settled);
    return taking;
  }

  async #claimDue(): Promise<number> {
    const { outbox, leaseMs = LEASE_MS } = this.#options;
    const takenMs = performance.now();
    // Not the asker's signal: a claim that the server makes while nobody waits for it holds its webhooks until the lease ends.
    const due = await outbox.claimDue({ limit: this.#slots.free, leaseMs, signal: this.#cut.signal });
    if (this.#stopping !== undefined) await this.#giveBack(due);
    else for (const webhook of due) this.#place({ webhook, lane: this.#laneOf(webhook), takenMs });
    return due.length;
  }

  /** One that was just taken begins, waits for its host, or is put off. */
  #place(held: Held): void {
    if (this.#slots.mayBegin(held.lane)) return this.#begin(held);
    const waiting = this.#held.filter(({ lane }) => lane.host === held.lane.host).length;
    const hasRoom = waiting < MAX_HELD_PER_HOST && this.#held.length < MAX_HELD;
    if (hasRoom) return void this.#held.push(held);
    const { leaseMs = LEASE_MS } = this.#options;
    const delayMs = this.#slots.reserve(held.lane, { waiting, withinMs: leaseMs / 2 });
    // Later than that it comes back by itself when its lease ends, without a write.
    if (delayMs !== undefined) this.#putOff(held, delayMs);
  }

  #beginHeld(): void {
    const { leaseMs = LEASE_MS, timeoutMs = TIMEOUT_MS } = this.#options;
    const patienceMs = Math.max(leaseMs / 4, leaseMs - timeoutMs - LAST_WRITES_MS);
    const kept: Held[] = [];
    for (const held of this.#held) {
      // Too little of the lease is left for a whole attempt: when it ends, a worker can take the webhook again.
      if (performance.now() - held.takenMs > patienceMs) continue;
      if (this.#slots.mayBegin(held.lane)) this.#begin(held);
      else kept.push(held);
    }
    this.#held = kept;
  }

  #begin(held: Held): void {
    const end = this.#slots.begin(held.lane);
    const tried = this.#try(held).finally(() => {
      end();
      this.#underWay.delete(tried);
      this.#rest.end();
    });
    this.#underWay.add(tried);
  }

  /** Never rejects. */
  async #try({ webhook, takenMs }: Held): Promise<void> {
    const outcome = await deliver(webhook, { ...this.#options, signal: this.#cut.signal });
    this.#tell(webhook, outcome, performance.now() - takenMs);
    if (outcome.kind === 'delivered') this.#summary.delivered++;
    if (outcome.kind === 'retry') this.#summary.failedTries++;
    if (outcome.kind === 'dead') this.#summary.dead++;
    logOutcome(this.#options.logger, webhook, outcome);
    await this.#record(webhook, outcome);
  }

  #tell({ endedMsAgo }: DueWebhook, { kind }: DeliveryOutcome, sinceTakenMs: number): void {
    if (kind === 'postpone') return;
    this.#options.onOutcome?.(kind, endedMsAgo === undefined ? undefined : endedMsAgo + sinceTakenMs);
  }

  async #record(webhook: DueWebhook, outcome: DeliveryOutcome): Promise<void> {
    await recordOutcome(this.#options, webhook, outcome);
  }

  #putOff({ webhook }: Held, delayMs: number): void {
    const put = this.#record(webhook, {
      kind: 'postpone',
      delayMs,
      error: 'put off: earlier ones to this host are under way',
    }).then(() => {
      this.#underWay.delete(put);
    });
    this.#underWay.add(put);
  }

  async #release(): Promise<void> {
    const held = this.#held;
    this.#held = [];
    await this.#giveBack(held.map(({ webhook }) => webhook));
  }

  /** So that the next process need not wait for the lease. */
  async #giveBack(webhooks: readonly DueWebhook[]): Promise<void> {
    const outcome = { kind: 'postpone', delayMs: 0, error: 'not tried: the worker ended' } as const;
    await Promise.all(webhooks.map((webhook) => this.#record(webhook, outcome)));
  }

  #laneOf({ url }: DueWebhook): Lane {
    const { operatorUrl } = this.#options;
    // A text that is no URL is refused during the attempt.
    return { host: URL.parse(url ?? operatorUrl ?? '')?.host ?? '', isOperators: url === undefined };
  }

  async #msUntilNext<T extends number | undefined>(otherwise: T, signal: AbortSignal): Promise<number | T> {
    const dueMs = this.#isOver(signal) ? undefined : await untilAborted(this.#options.outbox.msUntilNextDue(), signal);
    return dueMs === undefined ? otherwise : otherwise === undefined ? dueMs : Math.min(otherwise, dueMs);
  }
}
