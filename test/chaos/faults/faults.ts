/** What goes wrong, one thing after the other. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Meeting } from '../coverage.ts';
import { Deck } from '../deck.ts';
import type { Producer } from '../producer.ts';
import type { Random } from '../random.ts';
import { LEASE_MS } from '../settings.ts';
import type { Stage } from '../stage/stage.ts';

/** The kinds with their weights. */
const KINDS = {
  // workers and their engines
  killWorker: 6,
  freezeWorker: 4,
  terminateWorker: 3,
  killEngine: 3,
  engineCannotStart: 2,
  modelFolderGone: 2,
  // the database
  stepDown: 1,
  killPrimary: 1,
  pausePrimary: 1,
  cutConnections: 3,
  dropReplies: 6,
  dropIndex: 2,
  hideIndex: 2,
  renameCollection: 1,
  // the bucket, for as long as an operator needs to mend it
  bucketRefuses: 2,
  // documents
  reset: 4,
  delete: 2,
  reinsert: 3,
  mangle: 2,
  forge: 2,
} as const;
/** Rare enough that a server often lives for the fifteen seconds after which it cancels jobs whose client left. */
const SERVER_KINDS = { killServer: 2, terminateServer: 1, freezeServer: 1 } as const;
const ALL_KINDS = { ...KINDS, ...SERVER_KINDS };
type Kind = keyof typeof ALL_KINDS;

const INDEXES = [
  'text2img_pending',
  'text2img_processing',
  'text2img_webhooks',
  'text2img_models',
  'text2img_turns',
  'text2img_tenant_pending',
];

export interface FaultsOptions {
  readonly stage: Stage;
  readonly producer: Producer;
  readonly random: Random;
}

export class Faults {
  readonly #stage: Stage;
  readonly #producer: Producer;
  readonly #random: Random;
  readonly #deck: Deck<Kind>;
  /** What undoes faults that last. */
  readonly #lasting = new Set<Promise<void>>();

  constructor({ stage, producer, random }: FaultsOptions) {
    this.#stage = stage;
    this.#producer = producer;
    this.#random = random;
    // The deck draws, and misses, only the kinds that it has.
    const kinds = stage.httpServers.length > 0 ? ALL_KINDS : (KINDS as typeof ALL_KINDS);
    this.#deck = new Deck<Kind>(kinds, random);
  }

  get counts(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#deck.counts);
  }

  meetings(): readonly Meeting[] {
    return this.#deck.meetings().map(({ what, times }) => ({ what: `fault: ${what}`, times }));
  }

  async run(signal: AbortSignal): Promise<void> {
    await sleep(2000, undefined, { signal }).catch(() => undefined);
    while (!signal.aborted) {
      // A fault that does not work out is one fault less.
      await this.#do(this.#deck.draw()).catch(() => undefined);
      await sleep(this.#random.between(50, 700), undefined, { signal }).catch(() => undefined);
    }
  }

  async heal(): Promise<void> {
    await Promise.all(this.#lasting);
    this.#stage.heal();
  }

  async #do(kind: Kind): Promise<void> {
    const { workers, httpServers, proxies } = this.#stage;
    const random = this.#random;
    switch (kind) {
      case 'killWorker':
        random.pick(workers).process.kill('SIGKILL');
        return;
      case 'terminateWorker':
        random.pick(workers).process.kill('SIGTERM');
        return;
      case 'freezeWorker': {
        const { process } = random.pick(workers);
        process.kill('SIGSTOP');
        return this.#later(random.between(LEASE_MS * 1.05, LEASE_MS * 2.5), () => void process.kill('SIGCONT'));
      }
      case 'killServer':
        random.pick(httpServers).kill('SIGKILL');
        return;
      case 'terminateServer':
        random.pick(httpServers).kill('SIGTERM');
        return;
      case 'freezeServer':
        return this.#later(random.between(500, 3000), random.pick(httpServers).freeze());
      case 'killEngine':
        return await random.pick(workers).killEngine();
      case 'engineCannotStart': {
        const worker = random.pick(workers);
        await worker.ail(random.pick(['load fails', 'load dies', 'load hangs']));
        await worker.killEngine();
        return this.#later(random.between(500, 3000), () => worker.ail(''));
      }
      case 'modelFolderGone': {
        const moveBack = await this.#stage.moveModelAway(random);
        // Before anything that may fail: a folder that stays away ends nothing.
        this.#later(random.between(500, 3000), moveBack);
        return await random.pick(workers).killEngine();
      }
      case 'cutConnections':
        random.pick(proxies).cutAll();
        return;
      case 'dropReplies':
        for (const proxy of proxies) proxy.dropReplies(1 + random.below(3));
        return;
      case 'bucketRefuses':
        this.#stage.refuseUploads(random);
        return this.#later(random.between(500, 3000), () => this.#stage.acceptUploads());
      case 'stepDown':
      case 'killPrimary':
      case 'pausePrimary':
        return await this.#disturbServers(kind);
      case 'dropIndex':
      case 'hideIndex':
      case 'renameCollection':
        return await this.#disturbCollection(kind);
      case 'reset':
      case 'delete':
      case 'reinsert':
      case 'mangle':
      case 'forge':
        return await this.#producer.disturb(kind);
    }
  }

  async #disturbServers(kind: 'stepDown' | 'killPrimary' | 'pausePrimary'): Promise<void> {
    const { servers } = this.#stage;
    if (kind === 'stepDown') return await servers.stepDown();
    const primary = await servers.primary();
    if (kind === 'killPrimary') {
      await servers.kill(primary);
      return this.#later(this.#random.between(500, 3000), () => servers.restart(primary));
    }
    primary.process.kill('SIGSTOP');
    return this.#later(this.#random.between(500, 3000), () => void primary.process.kill('SIGCONT'));
  }

  async #disturbCollection(kind: 'dropIndex' | 'hideIndex' | 'renameCollection'): Promise<void> {
    const { prompts } = this.#stage;
    if (kind === 'renameCollection')
      return await this.#producer.whilePaused(() => this.#stage.renameForAWhile(this.#random));
    const index = this.#random.pick(INDEXES);
    if (kind === 'dropIndex') {
      await prompts.dropIndex(index);
      return;
    }
    await this.#stage.setHidden(index, true);
    return this.#later(this.#random.between(500, 3000), () => this.#stage.setHidden(index, false));
  }

  #later(ms: number, undo: () => void | Promise<void>): void {
    const done = sleep(ms)
      .then(undo)
      // What was dropped meanwhile need not be put back.
      .catch(() => undefined);
    this.#lasting.add(done);
    void done.finally(() => this.#lasting.delete(done));
  }
}
