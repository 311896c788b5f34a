/** Real MongoDB servers for the tests: a standalone or a replica set of three, on ports of their own, gone after the test. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { MongoClient } from 'mongodb';

export interface Member {
  /** Where it listens. */
  readonly port: number;
  /** Where the others and the clients find it: a proxy's, if there is one. */
  readonly advertisedPort: number;
  readonly folder: string;
  process: ChildProcess;
}

/** Running servers. Disposing ends them and removes their data. */
export class MongoServers implements AsyncDisposable {
  readonly members: readonly Member[];
  readonly #binary: string;
  readonly #isSet: boolean;

  private constructor(binary: string, members: readonly Member[], isSet: boolean) {
    this.#binary = binary;
    this.members = members;
    this.#isSet = isSet;
  }

  static async standalone(binary: string, args: readonly string[] = []): Promise<MongoServers> {
    const servers = new MongoServers(binary, [await startMember(binary, { isSet: false, args })], false);
    await servers.#untilReachable();
    return servers;
  }

  /** Elections take about a second, as in the tests' servers notes: heartbeats every 200 ms. */
  static async replicaSet(
    binary: string,
    { advertise = async (port) => port }: { readonly advertise?: (port: number) => Promise<number> } = {},
  ): Promise<MongoServers> {
    const started = await Promise.all([0, 1, 2].map(() => startMember(binary, { isSet: true })));
    const members = await Promise.all(
      started.map(async (member) => ({ ...member, advertisedPort: await advertise(member.port) })),
    );
    const servers = new MongoServers(binary, members, true);
    await servers.#untilReachable();
    await using client = new MongoClient(`mongodb://127.0.0.1:${members[0]?.port}/?directConnection=true`);
    await client.db('admin').command({
      replSetInitiate: {
        _id: 'rs',
        members: members.map(({ advertisedPort }, _id) => ({ _id, host: `127.0.0.1:${advertisedPort}` })),
        settings: { electionTimeoutMillis: 1000, heartbeatIntervalMillis: 200 },
      },
    });
    await using set = new MongoClient(servers.uri('admin'), { serverSelectionTimeoutMS: 20_000 });
    await set
      .db('warm')
      .collection('up')
      .insertOne({}, { writeConcern: { w: 'majority' } });
    return servers;
  }

  uri(database: string, options = ''): string {
    const hosts = this.members.map(({ advertisedPort }) => `127.0.0.1:${advertisedPort}`).join(',');
    const query = [this.#isSet ? 'replicaSet=rs' : '', options].filter((part) => part !== '').join('&');
    return `mongodb://${hosts}/${database}${query === '' ? '' : `?${query}`}`;
  }

  /** Which member is primary now. */
  async primary(): Promise<Member> {
    for (;;) {
      for (const member of this.members) {
        await using client = direct(member);
        const hello = await client
          .db('admin')
          .command({ hello: 1 })
          .catch(() => undefined);
        if (hello?.['isWritablePrimary'] === true) return member;
      }
      await sleep(100);
    }
  }

  async stepDown(): Promise<void> {
    await using client = direct(await this.primary());
    await client
      .db('admin')
      .command({ replSetStepDown: 5, secondaryCatchUpPeriodSecs: 2, force: true })
      .catch(() => undefined);
  }

  async kill(member: Member): Promise<void> {
    if (member.process.exitCode !== null || member.process.signalCode !== null) return;
    const ended = once(member.process, 'exit');
    member.process.kill('SIGKILL');
    await ended;
  }

  restart(member: Member): void {
    member.process = spawnMongod(this.#binary, member, this.#isSet);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const member of this.members) {
      member.process.kill('SIGCONT');
      await this.kill(member);
      await rm(member.folder, { recursive: true, force: true });
    }
  }

  async #untilReachable(): Promise<void> {
    for (const member of this.members) {
      await using client = new MongoClient(`mongodb://127.0.0.1:${member.port}/?directConnection=true`, {
        serverSelectionTimeoutMS: 30_000,
      });
      await client.db('admin').command({ ping: 1 });
    }
  }
}

function direct({ port }: Member): MongoClient {
  return new MongoClient(`mongodb://127.0.0.1:${port}/?directConnection=true`, {
    serverSelectionTimeoutMS: 500,
    socketTimeoutMS: 5000,
  });
}

async function startMember(
  binary: string,
  { isSet, args = [] }: { readonly isSet: boolean; readonly args?: readonly string[] },
): Promise<Member> {
  const port = await freePort();
  const place = { port, advertisedPort: port, folder: await mkdtemp(join(tmpdir(), 'text2img-mongod-')) };
  return { ...place, process: spawnMongod(binary, place, isSet, args) };
}

function spawnMongod(
  binary: string,
  { port, folder }: Pick<Member, 'port' | 'folder'>,
  isSet: boolean,
  args: readonly string[] = [],
): ChildProcess {
  const common = [
    '--dbpath',
    folder,
    '--port',
    String(port),
    '--bind_ip',
    '127.0.0.1',
    '--wiredTigerCacheSizeGB',
    '0.25',
    '--quiet',
    '--setParameter',
    'diagnosticDataCollectionEnabled=false',
  ];
  const set = isSet ? ['--replSet', 'rs', '--oplogSize', '512'] : [];
  const child = spawn(binary, [...common, ...set, ...args], { stdio: 'ignore' });
  // A test that dies must not leave servers behind.
  process.once('exit', () => child.kill('SIGKILL'));
  return child;
}

/** A port that nobody listens on right now. */
export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (typeof address !== 'object' || address === null) throw new Error('no port');
  return address.port;
}
