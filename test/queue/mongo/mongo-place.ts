/** Where the tests of the MongoDB queue work: a database of their own on a server that they share, with what the queue logged. */
import { randomBytes } from 'node:crypto';
import type { TestContext } from 'node:test';
import { type Collection, type Document, MongoClient } from 'mongodb';
import { type Logger, silentLogger } from '../../../src/observability/logger.ts';
import { MongoPromptQueue, type MongoPromptQueueOptions } from '../../../src/queue/mongo/mongo-prompt-queue.ts';
import type { ClaimedPrompt } from '../../../src/queue/prompt-queue.ts';
import type { MongoServers } from '../../servers/mongod.ts';

/** Documents of any `_id`. */
type AnyDocuments = Collection<Document & { _id: never }>;

export interface MongoPlace {
  readonly uri: string;
  readonly client: MongoClient;
  readonly prompts: AnyDocuments;
  readonly warnings: readonly string[];
  /** One more worker's. */
  open(changes?: Partial<MongoPromptQueueOptions>): MongoPromptQueue;
}

export function makeMongoPlace(t: TestContext, servers: MongoServers, uri?: string): MongoPlace {
  const database = `t${randomBytes(6).toString('hex')}`;
  const client = new MongoClient(servers.uri(database), { ignoreUndefined: false });
  t.after(() => client.close());
  const warnings: string[] = [];
  const note = (message: string, fields?: unknown): void => {
    warnings.push(`${message} ${JSON.stringify(fields) ?? ''}`);
  };
  const logger: Logger = { ...silentLogger, warning: note, error: note };
  const place = uri ?? servers.uri(database);
  return {
    uri: place,
    client,
    prompts: client.db(database).collection('prompts'),
    warnings,
    open: (changes) => {
      const queue = new MongoPromptQueue({
        uri: place,
        collection: 'prompts',
        leaseMs: 20_000,
        maxAttempts: 5,
        owner: 'w',
        logger,
        ...changes,
      });
      t.after(() => queue[Symbol.asyncDispose]());
      return queue;
    },
  };
}

/** As a worker that only looks would: claims until the queue is drained. @param onRefused hears of `queue_refused` */
export async function claimAll(
  queue: MongoPromptQueue,
  { onRefused, limit = 10 }: { readonly onRefused?: (error: unknown) => void; readonly limit?: number } = {},
): Promise<ClaimedPrompt[]> {
  const claimed: ClaimedPrompt[] = [];
  const { signal } = new AbortController();
  for (;;) {
    await queue.reap();
    const some = await queue.claim({ limit }).catch((error: unknown) => {
      if (onRefused === undefined) throw error;
      onRefused(error);
      return [];
    });
    claimed.push(...some);
    for (const one of some)
      await queue.complete(one, { imageUrls: ['gs://b/x.png'], seed: 1, parameters: {}, warnings: [] });
    if (some.length === 0 && (await queue.isDrained())) return claimed;
    if (some.length === 0) await queue.untilChanged({ timeoutMs: 20, signal });
  }
}
