/** The queue in MongoDB, on a standalone and on a replica set of three: the contract of every queue. */
import { randomBytes } from 'node:crypto';
import { after, test } from 'node:test';
import { silentLogger } from '../../../src/observability/logger.ts';
import { MongoPromptQueue } from '../../../src/queue/mongo/mongo-prompt-queue.ts';
import type { PromptQueue } from '../../../src/queue/prompt-queue.ts';
import { findMongod, NO_MONGOD } from '../../servers/find-mongod.ts';
import { MongoServers } from '../../servers/mongod.ts';
import { deadlineConformance } from '../deadline-conformance.ts';
import { enqueueConformance } from '../enqueue-conformance.ts';
import { listConformance } from '../list-conformance.ts';
import { modelConformance } from '../model-conformance.ts';
import { promptQueueConformance } from '../prompt-queue-conformance.ts';
import { serveConformance } from '../serve-conformance.ts';
import { sideDataConformance } from '../side-data-conformance.ts';
import { waitingConformance } from '../waiting-conformance.ts';
import { webhookOutboxConformance } from '../webhook-outbox-conformance.ts';

const binary = await findMongod();
if (binary === undefined) test('MongoPromptQueue keeps the queue contract', { skip: NO_MONGOD });
else {
  for (const [name, servers] of [
    ['MongoPromptQueue on a standalone', await MongoServers.standalone(binary)],
    ['MongoPromptQueue on a replica set', await MongoServers.replicaSet(binary)],
  ] as const) {
    after(() => servers[Symbol.asyncDispose]());
    const create: Parameters<typeof promptQueueConformance>[1] = async (t) => {
      const uri = servers.uri(`t${randomBytes(6).toString('hex')}`);
      const opened: PromptQueue[] = [];
      t.after(() => Promise.all(opened.map((queue) => queue[Symbol.asyncDispose]())));
      return {
        open: async ({ leaseMs, maxAttempts = 5, owner = 'w' }) => {
          const queue = new MongoPromptQueue({
            uri,
            collection: 'prompts',
            leaseMs,
            maxAttempts,
            owner,
            logger: silentLogger,
          });
          opened.push(queue);
          // Connected, so that short leases do not run out meanwhile.
          await queue.counts();
          return queue;
        },
      };
    };
    promptQueueConformance(name, create);
    webhookOutboxConformance(name, create);
    enqueueConformance(name, create);
    listConformance(name, create);
    waitingConformance(name, create);
    serveConformance(name, create);
    modelConformance(name, create);
    sideDataConformance(name, create);
    deadlineConformance(name, create);
  }
}
