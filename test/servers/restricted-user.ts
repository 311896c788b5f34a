/** A MongoDB whose user may work on the prompts, and may make no collection or index. */
import { MongoClient } from 'mongodb';
import type { TestContext } from 'node:test';
import { MongoServers } from './mongod.ts';

/** So that a test can see that it is logged nowhere. */
export const PASSWORD = 'hunter2';

/** @returns the URI of that user; the server is gone after the test */
export async function restrictedUri(t: TestContext, binary: string): Promise<string> {
  const servers = await MongoServers.standalone(binary, ['--auth']);
  t.after(() => servers[Symbol.asyncDispose]());
  const admin = new MongoClient(servers.uri('admin'));
  await admin.db('admin').command({ createUser: 'root', pwd: 'root', roles: ['root'] });
  await admin.close();
  await using root = new MongoClient(servers.uri('admin').replace('//', '//root:root@'));
  const actions = ['find', 'insert', 'update', 'remove'];
  await root.db('app').command({
    createRole: 'worker',
    roles: [],
    privileges: [{ resource: { db: 'app', collection: 'prompts' }, actions }],
  });
  await root.db('app').command({ createUser: 'worker', pwd: PASSWORD, roles: ['worker'] });
  return servers.uri('app').replace('//', `//worker:${PASSWORD}@`);
}
