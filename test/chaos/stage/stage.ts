/** Where the chaos test plays: database behind proxies, bucket, receiver, the models' folders, the workers and the servers. */
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Document, MongoClient } from 'mongodb';
import { silentLogger } from '../../../src/observability/logger.ts';
import { promptIdText } from '../../../src/job/document-id.ts';
import { documentIdOf } from '../../../src/queue/mongo/bson-ids.ts';
import { MongoPromptQueue } from '../../../src/queue/mongo/mongo-prompt-queue.ts';
import { FaultProxy } from '../../servers/fault-proxy.ts';
import { GcsServer } from '../../servers/gcs-server.ts';
import { MongoServers } from '../../servers/mongod.ts';
import { startWebhookReceiver, type WebhookReceiver } from '../../servers/webhook-receiver.ts';
import { PeerFaults } from '../faults/peer-faults.ts';
import type { Random } from '../random.ts';
import { Keys } from './keys.ts';
import { renameForAWhile } from './rename-collection.ts';
import { ServerPlace } from './server-place.ts';
import { COLLECTION, LEASE_MS, MAX_ATTEMPTS, MODELS, WORKERS } from '../settings.ts';
import { type WorkerArguments, WorkerPlace } from './worker-place.ts';

/** After the healing; more than all leases, backoffs and retries together. */
const DRAIN_PATIENCE_MS = 20 * 60_000;
/** What nobody has moved for so long after the healing, an operator has to look at. */
const STUCK_AFTER_MS = 3 * LEASE_MS;
const TELL_MS = 30_000;
const AWAY = '.away';

interface StageParts {
  readonly servers: MongoServers;
  readonly proxies: readonly FaultProxy[];
  readonly client: MongoClient;
  readonly gcs: GcsServer;
  readonly peers: PeerFaults;
  readonly folder: string;
  readonly keys: Keys;
}

export class Stage implements AsyncDisposable {
  readonly database = 'chaos';
  readonly workers: WorkerPlace[] = [];
  readonly httpServers: ServerPlace[] = [];
  /** When the collection had another name. */
  readonly renames: { readonly fromMs: number; readonly toMs: number }[] = [];
  /** Canonical EJSON of the `_id`s of documents that were added meanwhile, and put into the right collection behind it. */
  readonly carriedOver = new Set<string>();
  /** Bodies by webhook id. */
  readonly webhooks = new Map<string, string[]>();
  readonly servers: MongoServers;
  readonly proxies: readonly FaultProxy[];
  readonly client: MongoClient;
  readonly gcs: GcsServer;
  readonly peers: PeerFaults;
  readonly keys: Keys;
  readonly #folder: string;
  #receiver: WebhookReceiver | undefined;

  private constructor({ servers, proxies, client, gcs, peers, folder, keys }: StageParts) {
    this.servers = servers;
    this.proxies = proxies;
    this.client = client;
    this.gcs = gcs;
    this.peers = peers;
    this.#folder = folder;
    this.keys = keys;
  }

  /** @param httpServers so many of `text2img serve` */
  static async open(binary: string, random: Random, httpServers: number): Promise<Stage> {
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
    const folder = await mkdtemp(join(tmpdir(), 'text2img-chaos-'));
    for (const model of MODELS) {
      await mkdir(join(modelsFolderIn(folder), model), { recursive: true });
      await writeFile(join(modelsFolderIn(folder), model, 'model_index.json'), '{}');
    }
    const keys = await Keys.write(join(folder, 'keys'));
    const peers = new PeerFaults(random);
    const stage = new Stage({ servers, proxies, client, gcs, peers, folder, keys });
    gcs.fault = (request) => peers.bucketFault(request);
    stage.#receiver = await startWebhookReceiver((response, count) => {
      // Remembered, whatever is answered: a try that got here was a delivery to the receiver.
      stage.#remember(count);
      peers.answerWebhook(response);
    });
    for (let place = 0; place < WORKERS; place++)
      stage.workers.push(await WorkerPlace.open(place, stage.#workerArguments()));
    const mongoUri = servers.uri(stage.database);
    const serverArguments = { mongoUri, gcsUrl: gcs.url, bucket: gcs.bucket, keyFile: keys.file };
    for (let place = 0; place < httpServers; place++) stage.httpServers.push(new ServerPlace(serverArguments));
    return stage;
  }

  get prompts() {
    return this.client.db(this.database).collection(COLLECTION);
  }

  heal(): void {
    this.peers.heal();
  }

  refuseUploads(random: Random): void {
    this.peers.refuseUploads(random);
  }

  acceptUploads(): void {
    this.peers.acceptUploads();
  }

  /** @returns what brings it back */
  async moveModelAway(random: Random): Promise<() => Promise<void>> {
    const folder = join(modelsFolderIn(this.#folder), random.pick(MODELS));
    await rename(folder, `${folder}${AWAY}`);
    return () => rename(`${folder}${AWAY}`, folder);
  }

  async setHidden(index: string, hidden: boolean): Promise<void> {
    await this.client.db(this.database).command({ collMod: COLLECTION, index: { name: index, hidden } });
  }

  /** Another name for a while, and back. */
  async renameForAWhile(random: Random): Promise<void> {
    const fromMs = performance.now();
    const renames = this.renames;
    const carried = await renameForAWhile(this.client.db(this.database), random.between(200, 1500)).finally(() =>
      renames.push({ fromMs, toMs: performance.now() }),
    );
    for (const key of carried) this.carriedOver.add(key);
  }

  /** Nothing is pending or being drawn, and no webhook is owed. @param disturbed an operator takes up what somebody else's hand left stuck */
  async untilDrained(disturbed: ReadonlySet<string>): Promise<void> {
    const deadlineMs = performance.now() + DRAIN_PATIENCE_MS;
    const open = { $or: [{ status: { $in: ['pending', 'processing'] } }, { 'job.hook_due': { $exists: true } }] };
    await using queue = this.#operatorsQueue();
    let [left, sinceMs, toldMs] = [-1, 0, performance.now()];
    while (performance.now() < deadlineMs) {
      const count = await this.prompts.countDocuments(open);
      if (count === 0) return;
      if (count !== left) [left, sinceMs] = [count, performance.now()];
      if (performance.now() - toldMs > TELL_MS) {
        toldMs = performance.now();
        console.log(`still open: ${count}, as ${JSON.stringify(await this.prompts.findOne(open)).slice(0, 1500)}`);
      }
      if (performance.now() - sinceMs > STUCK_AFTER_MS && disturbed.size > 0) await this.#takeUp(queue);
      await sleep(500);
    }
    console.error(`VIOLATION: not drained: ${JSON.stringify(await this.prompts.find(open).limit(5).toArray())}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const place of [...this.workers, ...this.httpServers]) place.close();
    await this.client.close();
    await this.#receiver?.[Symbol.asyncDispose]();
    await this.gcs[Symbol.asyncDispose]();
    for (const proxy of this.proxies) await proxy[Symbol.asyncDispose]();
    await this.servers[Symbol.asyncDispose]();
    await rm(this.#folder, { recursive: true, force: true });
  }

  /** What `jobs retry --force` does, for each that is still processing; it refuses those that somebody holds. */
  async #takeUp(queue: MongoPromptQueue): Promise<void> {
    const stuck = await this.prompts.find<Document>({ status: 'processing' }, { projection: { _id: 1 } }).toArray();
    for (const { _id } of stuck) await queue.retry(promptIdText(documentIdOf(_id)), { force: true }).catch(() => false);
  }

  #operatorsQueue(): MongoPromptQueue {
    const uri = this.servers.uri(this.database);
    return new MongoPromptQueue({
      uri,
      collection: COLLECTION,
      leaseMs: LEASE_MS,
      maxAttempts: MAX_ATTEMPTS,
      owner: 'operator',
      logger: silentLogger,
    });
  }

  #workerArguments(): WorkerArguments {
    return {
      mongoUri: this.servers.uri(this.database),
      gcsUrl: this.gcs.url,
      callbackUrl: this.#receiver?.url ?? '',
      leaseMs: LEASE_MS,
      modelsFolder: modelsFolderIn(this.#folder),
    };
  }

  #remember(count: number): void {
    const received = this.#receiver?.received[count - 1];
    const id = String(received?.headers['webhook-id']);
    this.webhooks.set(id, [...(this.webhooks.get(id) ?? []), received?.body ?? '']);
  }
}

/** The instant engine child calls the model of `instant/x` by the name `x`. */
function modelsFolderIn(folder: string): string {
  return join(folder, 'instant');
}
