/** What a server writes about the jobs that its requests wait for: one statement for all of them, and previews only where somebody looks. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, suite, test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { MongoClient } from 'mongodb';
import { WatchMarks } from '../../src/http/front/watch-marks.ts';
import { silentLogger } from '../../src/observability/logger.ts';
import type { WatchMark } from '../../src/queue/side-data.ts';
import { findMongod, NO_MONGOD } from '../servers/find-mongod.ts';
import { MongoServers } from '../servers/mongod.ts';
import { until } from '../worker/place.ts';
import { serve } from './served.ts';

const WAITING = 500;
const ENDS = { timeout: 110_000 };

/** Records what is written, on its way to the queue. */
function marksOf(t: TestContext, { queue }: Awaited<ReturnType<typeof serve>>): (readonly WatchMark[])[] {
  const written: (readonly WatchMark[])[] = [];
  const { watches } = queue.sideData;
  const mark = watches.mark.bind(watches);
  t.mock.method(watches, 'mark', async (marks: readonly WatchMark[], forMs?: number) => {
    written.push(marks);
    await mark(marks, forMs);
  });
  return written;
}

test(`the marks of ${WAITING} waiting jobs are renewed in one write, and those that end are not`, ENDS, async (t) => {
  const served = await serve(t, { worker: false });
  const written = marksOf(t, served);
  using marks = new WatchMarks({ watches: served.queue.sideData.watches, logger: silentLogger });
  const ids = Array.from({ length: WAITING }, (_, index) => `p${index}`);
  await marks.mark(ids);
  const ends = ids.map((id, index) => marks.keep(id, { withPreviews: index < 10 }));
  await until(() => written.length >= 3);
  const wanting = (written[1] ?? []).filter(({ wantsPreviews }) => wantsPreviews);
  assert.deepEqual(
    [written[0]?.length, written[1]?.length, wanting.length, written[2]?.length],
    [WAITING, 10, 10, WAITING],
    'before they are added; those who show previews, at once; all, after five seconds',
  );
  for (const end of ends.slice(1)) {
    end();
    end();
  }
  await until(() => written.length >= 4);
  assert.deepEqual(written[3], [{ promptId: 'p0', wantsPreviews: true }]);
});

test('a job that this process did not add is marked as soon as somebody waits for it', ENDS, async (t) => {
  const served = await serve(t, { worker: false });
  const { watches } = served.queue.sideData;
  using marks = new WatchMarks({ watches, logger: silentLogger });
  marks.keep('foreign', { withPreviews: false });
  marks.ask('asked');
  await until(async () => (await watches.marked(['foreign', 'asked'])).size === 2);
  assert.deepEqual(
    [...(await watches.marked(['foreign', 'asked']))],
    [
      ['foreign', { wantsPreviews: false }],
      ['asked', { wantsPreviews: true }],
    ],
  );
});

test(
  'previews are made for streams with partial images, for watchers of events and for progress with an image, and for nobody else',
  ENDS,
  async (t) => {
    const served = await serve(t);
    const written = marksOf(t, served);
    const put = t.mock.method(served.queue.sideData.previews, 'put');
    const { url } = served;
    const post = (path: string, body: object, headers: Record<string, string> = {}) =>
      fetch(`${url}${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify(body),
      });
    const slow = { prompt: 'a [slow 500]', size: '64x64', steps: 6 };
    const images = '/v1/images/generations';
    assert.equal((await post(images, slow)).status, 200);
    assert.equal((await post(images, { ...slow, stream: true }).then((answer) => answer.text())).length > 0, true);
    const sd = { prompt: 'a [slow 500]', width: 64, height: 64, steps: 6 };
    const job = { text: 'a [slow 500]', width: 64, height: 64, num_inference_steps: 6 };
    assert.equal((await post('/sdapi/v1/txt2img', sd)).status, 200);
    assert.equal((await post('/api/v1/prompts', job, { prefer: 'wait=60' })).status, 200);
    assert.equal(put.mock.callCount(), 0);
    assert.ok(written.length >= 4 && written.flat().every(({ wantsPreviews }) => !wantsPreviews));
    const stream = await post(images, { ...slow, stream: true, partial_images: 1 });
    assert.match(await stream.text(), /partial_image/);
    const made = put.mock.callCount();
    assert.ok(made > 0);
    const generating = post('/sdapi/v1/txt2img', { ...sd, steps: 20 });
    await until(async () => {
      const progress = (await (await fetch(`${url}/sdapi/v1/progress`)).json()) as { readonly current_image: unknown };
      await sleep(100);
      return progress.current_image !== null;
    });
    assert.ok(put.mock.callCount() > made);
    await generating;
  },
);

const binary = await findMongod();
const servers = binary === undefined ? undefined : await MongoServers.standalone(binary);
after(() => servers?.[Symbol.asyncDispose]());

suite('marks in MongoDB', servers === undefined ? { skip: NO_MONGOD } : ENDS, () => {
  test(`the marks of ${WAITING} jobs are one command of the server`, async (t) => {
    const uri = servers?.uri(`t${randomBytes(6).toString('hex')}`) ?? '';
    const served = await serve(t, { worker: false, mongoUri: uri });
    await using client = await MongoClient.connect(uri);
    const commands = async (): Promise<number> =>
      Number((await client.db().command({ serverStatus: 1 }))['metrics'].commands.update.total);
    const marks = Array.from({ length: WAITING }, (_, index) => ({
      promptId: `p${index}`,
      wantsPreviews: index % 2 === 0,
    }));
    // Makes the collection and its index.
    await served.queue.sideData.watches.mark(marks);
    const before = await commands();
    await served.queue.sideData.watches.mark(marks);
    assert.equal((await commands()) - before, 1);
  });
});
