/** Ollama's `POST /api/generate`, as its clients call it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Served, serve } from '../served.ts';

type Json = Readonly<Record<string, unknown>>;

async function generate(
  { url }: Served,
  body: object,
): Promise<{ readonly response: Response; readonly lines: readonly Json[] }> {
  const response = await fetch(`${url}/api/generate`, { method: 'POST', body: JSON.stringify(body) });
  const text = await response.text();
  return {
    response,
    lines: text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Json),
  };
}

const PNG = /^iVBORw0KGgo/;

test('the answer is lines of JSON, with the progress and then the image', async (t) => {
  const served = await serve(t);
  const { response, lines } = await generate(served, { model: 'instant', prompt: 'a fox [slow 20]', steps: 40 });
  assert.equal(response.headers.get('content-type'), 'application/x-ndjson');
  for (const { model, created_at } of lines)
    assert.deepEqual([model, Date.parse(String(created_at)) > 0], ['instant', true]);
  const last = lines.at(-1);
  assert.match(String(last?.['image']), PNG);
  assert.deepEqual([last?.['done'], last?.['done_reason']], [true, 'stop']);
  assert.ok(Number.isInteger(last?.['total_duration']) && Number(last?.['total_duration']) > 0);
  const progress = lines.slice(0, -1);
  assert.ok(progress.length > 0);
  const done = progress.map(({ completed }) => Number(completed));
  assert.deepEqual(
    done,
    done.toSorted((one, other) => one - other),
    'it never goes back',
  );
  for (const { total, done: isDone } of progress)
    assert.deepEqual([isDone, total === 0 || total === 40], [false, true]);
});

test('with stream false the answer is one JSON object', async (t) => {
  const served = await serve(t);
  for (const stream of [false, 'false']) {
    const { response, lines } = await generate(served, { model: 'instant', prompt: 'a fox', stream });
    assert.match(response.headers.get('content-type') ?? '', /^application\/json/);
    assert.equal(lines.length, 1);
    assert.match(String(lines[0]?.['image']), PNG);
  }
});

test('fields are taken from the top and from options, the top first', async (t) => {
  const served = await serve(t);
  const options = { seed: 42, steps: 9, width: 16, num_ctx: 4096 };
  const body = { model: 'instant', prompt: 'a fox', steps: 2, height: 8, options, keep_alive: '5m', stream: false };
  const { response, lines } = await generate(served, body);
  const id = response.headers.get('text2img-id') ?? '';
  const { parameters, seed } = (await served.queue.show(id)) ?? {};
  assert.deepEqual([seed, lines[0]?.['seed']], [42, 42]);
  const { num_inference_steps: steps, width, height } = parameters ?? {};
  assert.deepEqual([steps, width, height], [2, 16, 8]);
  assert.equal(response.headers.get('text2img-ignored'), 'num_ctx, keep_alive');
});

test('one image is made, and a number of images is named as ignored', async (t) => {
  const served = await serve(t);
  const { response } = await generate(served, { model: 'instant', prompt: 'a fox', n: 4, stream: false });
  assert.equal(response.headers.get('text2img-ignored'), 'n');
  assert.equal((await served.queue.show(response.headers.get('text2img-id') ?? ''))?.imageUrls?.length, 1);
});

test('names end in :latest where clients add it', async (t) => {
  const served = await serve(t);
  const { response, lines } = await generate(served, { model: 'instant:latest', prompt: 'a fox', stream: false });
  assert.deepEqual([response.status, lines[0]?.['model']], [200, 'instant']);
});

test('what is refused is Ollama’s error shape, and nothing is enqueued', async (t) => {
  const served = await serve(t, { worker: false });
  for (const [body, status] of [
    [{ model: 'none', prompt: 'a fox' }, 404],
    [{ model: 'none:latest', prompt: 'a fox' }, 404],
    [{ model: 'instant' }, 400],
    [{ model: 'instant', prompt: 'a fox', steps: 0 }, 400],
    [{ model: 'instant', prompt: 'a fox', stream: 'perhaps' }, 400],
    [{ model: 'instant', prompt: 'a fox', images: ['AAAA'] }, 501],
    [[], 400],
  ] as const) {
    const { response, lines } = await generate(served, body);
    assert.equal(response.status, status, JSON.stringify(body));
    assert.deepEqual([Object.keys(lines[0] ?? {}), typeof lines[0]?.['error']], [['error'], 'string']);
  }
  assert.deepEqual(await served.queue.list({ limit: 10 }), []);
});

test('a job that ends in an error is the last line of the stream, or a status without one', async (t) => {
  const served = await serve(t);
  const prompt = `[once invalid_image ${served.folder}/one]`;
  const { response, lines } = await generate(served, { model: 'instant', prompt });
  assert.deepEqual([response.status, typeof lines.at(-1)?.['error']], [200, 'string']);
  const other = `[once invalid_image ${served.folder}/other]`;
  const single = await generate(served, { model: 'instant', prompt: other, stream: false });
  assert.deepEqual([single.response.status, single.response.headers.get('x-should-retry')], [500, 'false']);
});

test('clients find the version, and each model with its aliases, and can look at one', async (t) => {
  const served = await serve(t, {
    models: [
      { id: 'sd15', aliases: ['old/name'] },
      { id: 'photo', aliases: [] },
    ],
    worker: false,
  });
  const get = async (path: string): Promise<Json> => (await (await fetch(`${served.url}/api/${path}`)).json()) as Json;
  assert.match(String((await get('version'))['version']), /^\d+\.\d+\.\d+$/);
  const models = (await get('tags'))['models'] as readonly Json[];
  assert.deepEqual(
    models.map(({ name, model }) => [name, model]),
    ['sd15', 'old/name', 'photo'].map((name) => [name, name]),
  );
  for (const { modified_at, details } of models) {
    assert.ok(Date.parse(String(modified_at)) > 0);
    assert.equal(typeof (details as Json)['family'], 'string');
  }
  assert.deepEqual(await get('ps'), { models: [] });
  const show = (body: object): Promise<Response> =>
    fetch(`${served.url}/api/show`, { method: 'POST', body: JSON.stringify(body) });
  for (const body of [{ model: 'photo' }, { name: 'photo:latest' }, { model: 'old/name', verbose: true }]) {
    const answer = await show(body);
    const { capabilities, details, model_info } = (await answer.json()) as Json;
    assert.deepEqual([answer.status, capabilities, typeof details, model_info], [200, ['image'], 'object', {}]);
  }
  for (const [body, status] of [
    [{ model: 'none' }, 404],
    [{}, 400],
    [{ model: 5 }, 400],
    [[], 400],
  ] as const) {
    const answer = await show(body);
    assert.deepEqual([answer.status, typeof ((await answer.json()) as Json)['error']], [status, 'string']);
  }
});

test('routes of Ollama that are not there are 501 with a sentence that names them', async (t) => {
  const served = await serve(t, { worker: false });
  for (const [method, path] of [
    ['POST', 'chat'],
    ['POST', 'embed'],
    ['POST', 'pull'],
    ['DELETE', 'delete'],
  ] as const) {
    const answer = await fetch(`${served.url}/api/${path}`, { method, body: '{"model": "sd15"}' });
    const { error } = (await answer.json()) as Json;
    assert.equal(answer.status, 501, path);
    assert.match(String(error), new RegExp(`^${method} /api/${path} is not supported\\. `));
  }
  assert.equal((await fetch(`${served.url}/api/v1/prompts`)).status, 200, 'the jobs API keeps its own paths');
});
