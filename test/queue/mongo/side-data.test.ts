/** Side data in MongoDB: what is too old is not found, and a user without the right to write there loses nothing else. */
import assert from 'node:assert/strict';
import { after, suite, test, type TestContext } from 'node:test';
import type { Document } from 'mongodb';
import { type Logger, silentLogger } from '../../../src/observability/logger.ts';
import { MongoPromptQueue } from '../../../src/queue/mongo/mongo-prompt-queue.ts';
import type { WorkerRecord } from '../../../src/queue/side-data.ts';
import { findMongod, NO_MONGOD } from '../../servers/find-mongod.ts';
import { MongoServers } from '../../servers/mongod.ts';
import { PASSWORD, restrictedUri } from '../../servers/restricted-user.ts';
import { makeMongoPlace } from './mongo-place.ts';

const binary = await findMongod();
const running = binary === undefined ? undefined : await MongoServers.standalone(binary);
after(() => running?.[Symbol.asyncDispose]());
const servers = running as MongoServers;

const REQUEST = { id: 'k', bodyHash: 'h', promptIds: ['p'] };
const ORPHAN = { key: 'k', promptId: 'p', door: 'd', isReleased: true };
const PREVIEW = { promptId: 'p', token: 't', png: new Uint8Array([1]), step: 1, steps: 2 };
const WORKER: WorkerRecord = {
  id: 'w',
  host: 'h',
  pid: 1,
  version: '1',
  device: 'cpu',
  models: ['m'],
  takesUnnamed: false,
  images5min: 0,
  seconds5min: 0,
  at: new Date(0),
};
const NAMES = ['text2img_requests', 'text2img_previews', 'text2img_watch', 'text2img_workers'] as const;

async function openRestricted(t: TestContext, warnings: string[]): Promise<MongoPromptQueue> {
  const uri = await restrictedUri(t, binary as string);
  const logger: Logger = { ...silentLogger, warning: (message) => warnings.push(message) };
  const queue = new MongoPromptQueue({
    uri,
    collection: 'prompts',
    leaseMs: 60_000,
    maxAttempts: 5,
    owner: 'w',
    logger,
  });
  t.after(() => queue[Symbol.asyncDispose]());
  return queue;
}

suite('side data in MongoDB', running === undefined ? { skip: NO_MONGOD } : {}, () => {
  test('a user without the right to make collections works on, with keys, previews and the registry switched off', async (t) => {
    const warnings: string[] = [];
    const queue = await openRestricted(t, warnings);
    const { sideData } = queue;
    assert.equal(await sideData.canWrite(), false);
    await assert.rejects(sideData.requests.begin(REQUEST), {
      code: 'queue_unauthorized',
      message: /text2img_requests/,
    });
    await sideData.requests.added('k');
    await sideData.orphans.offer(ORPHAN);
    assert.equal(await sideData.orphans.take('k'), undefined);
    await sideData.orphans.withdraw('k', 'p');
    await sideData.watches.mark([{ promptId: 'p', wantsPreviews: false }]);
    assert.deepEqual([await sideData.watches.msLeft('p'), (await sideData.watches.marked(['p'])).size], [0, 0]);
    await sideData.previews.put(PREVIEW);
    assert.equal(await sideData.previews.get('p'), undefined);
    await sideData.previews.remove('p');
    await sideData.workers.beat(WORKER);
    assert.deepEqual([await sideData.workers.living(), await sideData.workers.modelsOfDay()], [[], []]);
    await sideData.workers.leave('w');
    await sideData.settings.set('a', 1);
    assert.equal(await sideData.settings.get('a'), undefined);
    const labels = { model: 'm', tenant: 'anna', door: 'd' };
    await queue.enqueue([{ _id: 'x', text: 'x' }], { labels, enqueueId: 'e' });
    const [claimed] = await queue.claim({ limit: 1, models: { named: ['m'], takesUnnamed: true }, fair: true });
    assert.ok(claimed !== undefined);
    assert.equal((await queue.list({ limit: 5, tenant: 'anna' })).length, 1);
    assert.equal(await queue.depth({ tenant: 'anna', status: 'open', most: 5 }), 1);
    assert.equal(await queue.cancel('x', { door: 'd' }), true);
    const once = new Set(warnings);
    assert.ok([...once].some((warning) => warning.includes('switched off')));
    assert.ok(!warnings.join().includes(PASSWORD));
  });

  test('what is too old is not found, even before the server removes it, and the server is asked to remove it', async (t) => {
    const place = makeMongoPlace(t, servers);
    const { sideData } = place.open();
    await sideData.requests.begin(REQUEST);
    await sideData.orphans.offer(ORPHAN);
    await sideData.watches.mark([{ promptId: 'p', wantsPreviews: false }]);
    await sideData.previews.put(PREVIEW);
    await sideData.workers.beat(WORKER);
    const db = place.client.db();
    const past = new Date(Date.now() - 61_000);
    for (const name of NAMES) {
      const indexes = await db.collection(name).indexes();
      assert.ok(
        indexes.some(({ key, expireAfterSeconds }) => 'until' in key && expireAfterSeconds === 0),
        name,
      );
      // The server looks for old ones once a minute; here it shall not be faster than the test.
      await db.collection(name).dropIndex('text2img_until');
      await db.collection(name).updateMany({}, { $set: { until: past, at: past } });
    }
    const again = await sideData.requests.begin({ ...REQUEST, bodyHash: 'h2' });
    assert.deepEqual([again.isNew, again.bodyHash], [true, 'h2']);
    assert.equal(await sideData.orphans.take('k'), undefined);
    assert.deepEqual([await sideData.watches.msLeft('p'), (await sideData.watches.marked(['p'])).size], [0, 0]);
    assert.equal(await sideData.previews.get('p'), undefined);
    assert.deepEqual([await sideData.workers.living(), await sideData.workers.modelsOfDay()], [[], []]);
  });

  test('two queues of one database keep their side data apart', async (t) => {
    const place = makeMongoPlace(t, servers);
    const [one, two] = [place.open(), place.open({ collection: 'other' })].map(({ sideData }) => sideData);
    assert.ok(one !== undefined && two !== undefined);
    for (const side of [one, two]) assert.equal((await side.requests.begin(REQUEST)).isNew, true);
    await one.orphans.offer(ORPHAN);
    await one.watches.mark([{ promptId: 'p', wantsPreviews: false }]);
    await one.workers.beat(WORKER);
    assert.equal(await two.orphans.take('k'), undefined);
    assert.deepEqual([await two.watches.msLeft('p'), await two.workers.living()], [0, []]);
  });

  test('whatever another program wrote there is read as nothing, or as a value of our types', async (t) => {
    const place = makeMongoPlace(t, servers);
    const { sideData } = place.open();
    await sideData.requests.begin(REQUEST);
    await sideData.orphans.offer(ORPHAN);
    await sideData.watches.mark([{ promptId: 'p', wantsPreviews: false }]);
    await sideData.previews.put(PREVIEW);
    await sideData.workers.beat(WORKER);
    await sideData.settings.set('a', 1);
    const db = place.client.db();
    const junk: Document = {
      $set: { prompt_ids: 7, body_hash: [], png: 'x', record: '[', value: '{', at: new Date(), is_released: 'x' },
    };
    for (const name of NAMES) await db.collection(name).updateMany({}, junk);
    assert.deepEqual((await sideData.requests.begin(REQUEST)).promptIds, []);
    assert.equal(await sideData.orphans.take('k'), 'held', 'it is not released, and watched');
    assert.equal(await sideData.previews.get('p'), undefined);
    assert.deepEqual([await sideData.workers.living(), await sideData.workers.modelsOfDay()], [[], []]);
    assert.equal(await sideData.settings.get('a'), undefined);
  });
});
