/** What goes wrong, one thing after the other. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Producer } from './producer.ts';
import type { Random } from './random.ts';
import { LEASE_MS } from './settings.ts';
import type { Stage } from './stage.ts';

const KINDS = {
  killWorker: 6,
  freezeWorker: 4,
  terminateWorker: 3,
  stepDown: 1,
  killPrimary: 1,
  pausePrimary: 1,
  cutConnections: 3,
  dropReplies: 6,
  reset: 4,
  delete: 2,
  reinsert: 3,
  mangle: 2,
} as const;
type Kind = keyof typeof KINDS;

/** The kinds, each as often as its weight. */
const DECK = (Object.keys(KINDS) as Kind[]).flatMap((kind) => Array.from({ length: KINDS[kind] }, () => kind));

export class Faults {
  readonly counts: Partial<Record<Kind, number>> = {};
  readonly #stage: Stage;
  readonly #producer: Producer;
  readonly #random: Random;
  /** What undoes faults that last. */
  readonly #lasting = new Set<Promise<void>>();

  constructor({
    stage,
    producer,
    random,
  }: { readonly stage: Stage; readonly producer: Producer; readonly random: Random }) {
    this.#stage = stage;
    this.#producer = producer;
    this.#random = random;
  }

  async run(signal: AbortSignal): Promise<void> {
    await sleep(2000, undefined, { signal }).catch(() => undefined);
    while (!signal.aborted) {
      const kind = this.#random.pick(DECK);
      this.counts[kind] = (this.counts[kind] ?? 0) + 1;
      // A fault that does not work out is one fault less.
      await this.#do(kind).catch(() => undefined);
      await sleep(this.#random.between(50, 700), undefined, { signal }).catch(() => undefined);
    }
  }

  async heal(): Promise<void> {
    await Promise.all(this.#lasting);
    this.#stage.heal();
  }

  async #do(kind: Kind): Promise<void> {
    const { workers, servers, proxies } = this.#stage;
    const random = this.#random;
    switch (kind) {
      case 'killWorker':
        random.pick(workers).kill('SIGKILL');
        return;
      case 'terminateWorker':
        random.pick(workers).kill('SIGTERM');
        return;
      case 'freezeWorker': {
        const worker = random.pick(workers);
        worker.kill('SIGSTOP');
        return this.#later(random.between(LEASE_MS * 1.05, LEASE_MS * 2.5), () => void worker.kill('SIGCONT'));
      }
      case 'stepDown':
        return await servers.stepDown();
      case 'killPrimary': {
        const primary = await servers.primary();
        await servers.kill(primary);
        return this.#later(random.between(500, 3000), () => servers.restart(primary));
      }
      case 'pausePrimary': {
        const { process } = await servers.primary();
        process.kill('SIGSTOP');
        return this.#later(random.between(500, 3000), () => void process.kill('SIGCONT'));
      }
      case 'cutConnections':
        random.pick(proxies).cutAll();
        return;
      case 'dropReplies':
        for (const proxy of proxies) proxy.dropReplies(1 + random.below(3));
        return;
      case 'reset':
      case 'delete':
      case 'reinsert':
      case 'mangle':
        return await this.#producer.disturb(kind);
    }
  }

  #later(ms: number, undo: () => void): void {
    const done = sleep(ms).then(undo);
    this.#lasting.add(done);
    void done.finally(() => this.#lasting.delete(done));
  }
}
