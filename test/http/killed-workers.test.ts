/** Workers that are killed, with their engines, while clients wait at every API: each client gets its images from the next worker, and nothing is published twice. */
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { makePlace, until } from '../worker/place.ts';
import { startProcess, type WorkerProcess } from '../worker/start-process.ts';
import { connect, factsOf, imagesOf, textOf } from './mcp/connect.ts';
import { serve, type Served } from './served.ts';

const ENDS = { timeout: 170_000 };
const PNG = 'iVBORw0KGgo';
const LEASE_MS = 2000;
const AS_JSON = { 'content-type': 'application/json' };

/** What a client got: the id of its job, and its image in base64. */
interface Got {
  readonly id: string;
  readonly image: string;
}

type Ask = (served: Served, t: TestContext) => Promise<Got>;

async function post(
  { url }: Served,
  path: string,
  json: object,
  headers: Record<string, string> = {},
): Promise<Response> {
  const answer = await fetch(`${url}${path}`, {
    method: 'POST',
    headers: { ...AS_JSON, ...headers },
    body: JSON.stringify(json),
  });
  assert.equal(answer.status, 200, `${path}: ${answer.status}`);
  return answer;
}

function idIn({ headers }: Response): string {
  return headers.get('text2img-id') ?? '';
}

async function imageOf({ url }: Served, id: string): Promise<string> {
  const { prompts } = (await (await fetch(`${url}/api/v1/prompts?limit=100`)).json()) as {
    readonly prompts: readonly { readonly id: string; readonly images?: readonly { readonly url: string }[] }[];
  };
  const address = prompts.find((prompt) => prompt.id === id)?.images?.[0]?.url ?? '';
  return Buffer.from(await (await fetch(new URL(address, url))).arrayBuffer()).toString('base64');
}

const JOB = { width: 64, height: 64, num_inference_steps: 5 };
const SLOW = '[slow 250]';

/** One client of each API. */
const CLIENTS: Readonly<Record<string, Ask>> = {
  openai: async (served) => {
    const answer = await post(served, '/v1/images/generations', { prompt: `openai ${SLOW}`, size: '64x64', steps: 5 });
    const { data } = (await answer.json()) as { readonly data: readonly { readonly b64_json: string }[] };
    return { id: idIn(answer), image: data[0]?.b64_json ?? '' };
  },
  'openai stream': async (served) => {
    const body = { prompt: `stream ${SLOW}`, size: '64x64', steps: 5, stream: true, partial_images: 1 };
    const answer = await post(served, '/v1/images/generations', body);
    const text = await answer.text();
    const data = /^event: image_generation\.completed\ndata: (.*)$/m.exec(text)?.[1] ?? '{}';
    const { id, b64_json: image } = JSON.parse(data) as { readonly id: string; readonly b64_json: string };
    return { id, image };
  },
  'web ui': async (served) => {
    const answer = await post(served, '/sdapi/v1/txt2img', {
      prompt: `web ui ${SLOW}`,
      width: 64,
      height: 64,
      steps: 5,
    });
    const { images } = (await answer.json()) as { readonly images: readonly string[] };
    return { id: idIn(answer), image: images[0] ?? '' };
  },
  'jobs, waiting': async (served) => {
    const answer = await post(served, '/api/v1/prompts', { ...JOB, text: `jobs ${SLOW}` }, { prefer: 'wait=60' });
    const { id } = (await answer.json()) as { readonly id: string };
    return { id, image: await imageOf(served, id) };
  },
  'jobs, events': async (served) => {
    const created = await fetch(`${served.url}/api/v1/prompts`, {
      method: 'POST',
      headers: AS_JSON,
      body: JSON.stringify({ ...JOB, text: `events ${SLOW}` }),
    });
    const { id } = (await created.json()) as { readonly id: string };
    const events = await (await fetch(`${served.url}/api/v1/prompts/${id}/events`)).text();
    assert.match(events, /^event: completed$/m);
    return { id, image: await imageOf(served, id) };
  },
  ollama: async (served) => {
    const body = { model: 'instant', prompt: `ollama ${SLOW}`, width: 64, height: 64, steps: 5, stream: false };
    const answer = await post(served, '/api/generate', body);
    const { image } = (await answer.json()) as { readonly image: string };
    return { id: idIn(answer), image };
  },
  mcp: async (served, t) => {
    const client = await connect(t, served.url, { revision: '2025' });
    const answer = await client.callTool({ name: 'generate_image', arguments: { ...JOB, prompt: `mcp ${SLOW}` } });
    const [image] = imagesOf(answer);
    assert.ok(image !== undefined, textOf(answer));
    return { id: String(factsOf(answer)['id']), image: image.toString('base64') };
  },
};

/** The engine is its only child. */
async function killWithEngine({ child }: WorkerProcess): Promise<void> {
  const { pid = 0 } = child;
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
  child.kill('SIGKILL');
  for (const engine of children.split(' ').filter((one) => one.trim() !== '')) {
    try {
      process.kill(Number(engine), 'SIGKILL');
    } catch {
      // It has ended with its worker.
    }
  }
}

test(
  'workers are killed with their engines while clients wait at every API, and each gets its image once',
  ENDS,
  async (t) => {
    const place = await makePlace(t);
    const served = await serve(t, { folder: place.folder, worker: false });
    const names = Object.keys(CLIENTS);
    const asking = Promise.all(Object.values(CLIENTS).map((ask) => ask(served, t)));
    asking.catch(() => undefined);
    await until(async () => (await served.queue.counts()).pending === names.length);
    const workers: WorkerProcess[] = [];
    const start = (): WorkerProcess => {
      const options = { owner: `w${workers.length}`, leaseMs: LEASE_MS, until: 'stopped' };
      workers.push(startProcess(t, place, options));
      return workers.at(-1) as WorkerProcess;
    };
    // In the middle of the first jobs, and when some are published while others are generated.
    for (const moment of ['progress', 'completed'] as const) {
      const worker = start();
      await worker.saw(moment);
      await killWithEngine(worker);
      await worker.ended;
    }
    const last = start();
    const got = await asking;
    last.child.kill('SIGTERM');
    await last.ended;
    assert.equal(new Set(got.map(({ id }) => id)).size, names.length);
    const published = workers.flatMap(({ events }) =>
      events.flatMap((event) => (event.type === 'completed' ? [event.id] : [])),
    );
    assert.equal(new Set(published).size, published.length, 'no worker published what another had published');
    const stored = await readdir(join(place.folder, 'generated'));
    assert.deepEqual(
      stored.filter((name) => name.endsWith('.png')).toSorted(),
      got.map(({ id }) => `${id}.png`).toSorted(),
    );
    let taken = 0;
    for (const [index, { id, image }] of got.entries()) {
      const name = names[index];
      assert.ok(image.startsWith(PNG), name);
      const job = await served.queue.show(id);
      assert.deepEqual([job?.status, job?.imageUrls?.length], ['completed', 1], name);
      if ((job?.attempts ?? 0) > 1) taken++;
      const bytes = await readFile(join(place.folder, 'generated', `${id}.png`));
      assert.equal(bytes.toString('base64'), image, `${name}: what was answered is what is stored`);
    }
    assert.ok(taken > 0, 'some jobs were begun by a worker that was killed, or this test shows nothing');
  },
);
