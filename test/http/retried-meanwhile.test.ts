/** A job that ends, and that an operator sets back to pending before its images are read: the request gets the images of the end that it waited for. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { call, type Json } from './a1111/calls.ts';
import { connect, factsOf, imagesOf } from './mcp/connect.ts';
import { serve, type Served } from './served.ts';

/** Still at work again when the images are read. */
const SLOW = { prompt: 'a fox [slow 300]', width: 8, height: 8 };

/** The operator is as fast as nobody is: each job is retried at the moment in which the wait for it is over. */
async function serveWithRetries(t: TestContext): Promise<{ readonly served: Served; readonly retried: string[] }> {
  const served = await serve(t);
  const { front, queue } = served;
  const retried: string[] = [];
  const wait = front.wait.bind(front);
  front.wait = async (...given) => {
    const jobs = await wait(...given);
    for (const { id } of jobs) {
      assert.equal(await queue.retry(id), true);
      retried.push(id);
    }
    return jobs;
  };
  return { served, retried };
}

const DOORS: readonly (readonly [name: string, path: string, body: object, imageIn: (text: string) => unknown])[] = [
  ['OpenAI’s API', '/v1/images/generations', SLOW, (text) => (parse(text)['data'] as Json[])[0]?.['b64_json']],
  [
    'a stream of OpenAI’s API',
    '/v1/images/generations',
    { ...SLOW, stream: true },
    (text) => parse(/event: image_generation\.completed\ndata: (.*)/.exec(text)?.[1] ?? '{}')['b64_json'],
  ],
  ['the web UI’s API', '/sdapi/v1/txt2img', SLOW, (text) => (parse(text)['images'] as unknown[])[0]],
  ['Ollama’s API', '/api/generate', { ...SLOW, stream: false }, (text) => parse(text)['image']],
  ['a stream of Ollama’s API', '/api/generate', SLOW, (text) => parse(text.trim().split('\n').at(-1) ?? '{}')['image']],
];

for (const [name, path, body, imageIn] of DOORS)
  test(`${name}: a job that is retried at the moment of its end is answered with its images`, async (t) => {
    const { served, retried } = await serveWithRetries(t);
    const answer = await call(served, path, { method: 'POST', body });
    assert.equal(answer.status, 200, answer.text);
    assert.match(String(imageIn(answer.text)), /^iVBORw0KGgo/, answer.text.slice(0, 500));
    assert.equal(retried.length, 1);
  });

test('MCP: a job that is retried at the moment of its end is answered with its images', async (t) => {
  const { served, retried } = await serveWithRetries(t);
  const client = await connect(t, served.url, { revision: '2026-07-28' });
  const answer = await client.callTool({ name: 'generate_image', arguments: SLOW });
  assert.deepEqual([factsOf(answer)['status'], imagesOf(answer).length, retried.length], ['completed', 1, 1]);
});

function parse(text: string): Json {
  return JSON.parse(text) as Json;
}
