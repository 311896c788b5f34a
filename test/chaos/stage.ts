/** Where the chaos test plays: database behind proxies, bucket, receiver, and the workers, which are replaced when they end. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { MongoClient } from 'mongodb';
import { FaultProxy } from '../servers/fault-proxy.ts';
import { type Fault, GcsServer } from '../servers/gcs-server.ts';
import { MongoServers } from '../servers/mongod.ts';
import { startWebhookReceiver, type WebhookReceiver } from '../servers/webhook-receiver.ts';
import type { Random } from './random.ts';
import { COLLECTION, LEASE_MS, WORKERS } from './settings.ts';

const WORKER = fileURLToPath(new URL('chaos-worker.ts', import.meta.url));
/** After the healing; more than all leases, backoffs and retries together. */
const DRAIN_PATIENCE_MS = 20 * 60_000;

export class Stage implements AsyncDisposable {
  readonly database = 'chaos';
  readonly workers: ChildProcess[] = [];
  /** Bodies by webhook id. */
  readonly webhooks = new Map<string, string[]>();
  bucketFaults = 0;
  webhookFaults = 0;
  readonly servers: MongoServers;
  readonly proxies: readonly FaultProxy[];
  readonly client: MongoClient;
  readonly gcs: GcsServer;
  readonly #random: Random;
  #receiver: WebhookReceiver | undefined;
  #isClosing = false;
  #isHealed = false;
  #started = 0;

  private constructor(parts: Pick<Stage, 'servers' | 'proxies' | 'client' | 'gcs'>, random: Random) {
    this.servers = parts.servers;
    this.proxies = parts.proxies;
    this.client = parts.client;
    this.gcs = parts.gcs;
    this.#random = random;
  }

  static async open(binary: string, random: Random): Promise<Stage> {
    const proxies: FaultProxy[] = [];
    const servers = await MongoServers.replicaSet(binary, {
      advertise: async (port) => {
        const proxy = await FaultProxy.start(port);
        proxies.push(proxy);
        return proxy.port;
      },
    });
    const client = new MongoClient(servers.uri('chaos'), {
      serverSelectionTimeoutMS: 60_000,
      writeConcern: { w: 'majority' },
    });
    const gcs = await GcsServer.start();
    const stage = new Stage({ servers, proxies, client, gcs }, random);
    gcs.fault = () => stage.#bucketFault();
    stage.#receiver = await startWebhookReceiver((response, count) => {
      // Remembered below, whatever is answered: a try that got here was a delivery to the receiver.
      stage.#remember(count);
      const isFault = !stage.#isHealed && random.chance(0.1);
      if (isFault) stage.webhookFaults++;
      if (isFault && random.chance(0.3)) return void response.destroy();
      response.writeHead(isFault ? 503 : 204).end();
    });
    for (let index = 0; index < WORKERS; index++) stage.#startWorker(index);
    return stage;
  }

  get prompts() {
    return this.client.db(this.database).collection(COLLECTION);
  }

  heal(): void {
    this.#isHealed = true;
  }

  /** Nothing is pending or being drawn, and no webhook is owed. */
  async untilDrained(): Promise<void> {
    const deadlineMs = performance.now() + DRAIN_PATIENCE_MS;
    const open = { $or: [{ status: { $in: ['pending', 'processing'] } }, { 'job.hook_due': { $exists: true } }] };
    while (performance.now() < deadlineMs) {
      if ((await this.prompts.countDocuments(open)) === 0) return;
      await sleep(500);
    }
    console.error(`VIOLATION: not drained: ${JSON.stringify(await this.prompts.find(open).limit(5).toArray())}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosing = true;
    for (const worker of this.workers) {
      worker.kill('SIGCONT');
      worker.kill('SIGKILL');
    }
    await this.client.close();
    await this.#receiver?.[Symbol.asyncDispose]();
    await this.gcs[Symbol.asyncDispose]();
    for (const proxy of this.proxies) await proxy[Symbol.asyncDispose]();
    await this.servers[Symbol.asyncDispose]();
  }

  #remember(count: number): void {
    const received = this.#receiver?.received[count - 1];
    const id = String(received?.headers['webhook-id']);
    this.webhooks.set(id, [...(this.webhooks.get(id) ?? []), received?.body ?? '']);
  }

  #bucketFault(): Fault | undefined {
    if (this.#isHealed || !this.#random.chance(0.06)) return undefined;
    this.bucketFaults++;
    return this.#random.pick<Fault>([
      { kind: 'drop' },
      { kind: 'commit-then-drop' },
      { kind: 'status', status: 503 },
      { kind: 'status', status: 429 },
      { kind: 'stall' },
      { kind: 'slow', ms: 300 },
      { kind: 'corrupt' },
    ]);
  }

  /** One that ends, however, is replaced by one with a new name. */
  #startWorker(place: number): void {
    const owner = `w${place}.${this.#started++}`;
    const args = [this.servers.uri(this.database), this.gcs.url, this.#receiver?.url ?? '', owner, String(LEASE_MS)];
    const worker = fork(WORKER, args, {
      stdio: ['ignore', 'ignore', process.env['CHAOS_LOG'] === undefined ? 'ignore' : 'inherit', 'ipc'],
    });
    this.workers[place] = worker;
    void once(worker, 'exit').then(() => {
      if (!this.#isClosing) this.#startWorker(place);
    });
  }
}
