/** Every request that a client of OpenAI's or Ollama's API was seen to send gets what that client needs. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UrlSigner } from '../../../src/http/images/sign-url.ts';
import { type ClientRequest, clientRequests, send } from '../clients.ts';
import { serve } from '../served.ts';
import { eventsIn } from './event-stream.ts';

interface Answer {
  readonly response: Response;
  readonly text: string;
  readonly json: Json;
  readonly request: ClientRequest;
}

type Json = Readonly<Record<string, unknown>>;

const PNG = /^iVBORw0KGgo/;

function items({ json }: Answer): readonly Json[] {
  return json['data'] as readonly Json[];
}

function isWholeNumber(value: unknown): void {
  assert.ok(Number.isInteger(value), `a whole number: ${String(value)}`);
}

function isUsage(value: unknown): void {
  const { input_tokens, output_tokens, total_tokens, input_tokens_details } = value as Json;
  const { text_tokens, image_tokens } = input_tokens_details as Json;
  for (const count of [input_tokens, output_tokens, total_tokens, text_tokens, image_tokens]) isWholeNumber(count);
}

function areImages(answer: Answer): void {
  const count = (answer.request.body as Json)['n'] ?? 1;
  assert.equal(items(answer).length, count);
  for (const item of items(answer)) {
    assert.match(String(item['b64_json']), PNG);
    assert.equal(item['url'], undefined);
  }
}

async function isReadable(answer: Answer): Promise<void> {
  const url = String(items(answer)[0]?.['url']);
  assert.ok(new URL(url).pathname.endsWith('.png'), url);
  const image = await fetch(url);
  assert.deepEqual([image.status, image.headers.get('content-type')], [200, 'image/png']);
}

function isModelList({ json }: Answer): void {
  for (const { id, object, created, owned_by } of json['data'] as readonly Json[]) {
    assert.deepEqual([typeof id, object, typeof owned_by], ['string', 'model', 'string']);
    isWholeNumber(created);
  }
}

/** What each sentence of `needs` means. */
const CHECKS: Readonly<Record<string, (answer: Answer) => void | Promise<void>>> = {
  'content-type: application/json': ({ response }) =>
    assert.match(response.headers.get('content-type') ?? '', /^application\/json/),
  'data[k].b64_json, one for each image': areImages,
  'data[k].b64_json or url': areImages,
  'data[].b64_json and no url': areImages,
  'data[].b64_json': areImages,
  'data[0].b64_json': areImages,
  'data[0].b64_json or data[0].url': areImages,
  created: ({ json }) => isWholeNumber(json['created']),
  'usage.input_tokens_details': ({ json }) => isUsage(json['usage']),
  'usage.total_tokens': ({ json }) => isUsage(json['usage']),
  'usage.input_tokens': ({ json }) => isUsage(json['usage']),
  'usage.output_tokens': ({ json }) => isUsage(json['usage']),
  'usage.input_tokens_details.text_tokens': ({ json }) => isUsage(json['usage']),
  'usage.input_tokens_details.image_tokens': ({ json }) => isUsage(json['usage']),
  'x-request-id header': ({ response }) => assert.match(response.headers.get('x-request-id') ?? '', /^[\w.-]+$/),
  'adopts the job of the first try, which has no key': areImages,
  'data[0].url whose path ends in .png, readable without authentication': isReadable,
  'content-type: text/event-stream': ({ response }) =>
    assert.match(response.headers.get('content-type') ?? '', /^text\/event-stream/),
  'text/event-stream': ({ response }) =>
    assert.match(response.headers.get('content-type') ?? '', /^text\/event-stream/),
  'events image_generation.partial_image with partial_image_index 0, 1': ({ text }) => {
    const partial = eventsIn(text).filter(({ event }) => event === 'image_generation.partial_image');
    // The instant engine may be done before anybody watches.
    assert.deepEqual(
      partial.map(({ data }) => data['partial_image_index']),
      [0, 1].slice(0, partial.length),
    );
  },
  'last event image_generation.completed with b64_json and usage': ({ text }) => {
    const last = eventsIn(text).at(-1);
    assert.equal(last?.event, 'image_generation.completed');
    assert.match(String(last?.data['b64_json']), PNG);
    isUsage(last?.data['usage']);
  },
  'b64_json at the top of each event': ({ text }) => {
    for (const { data } of eventsIn(text)) assert.match(String(data['b64_json']), PNG);
  },
  'object: list': ({ json }) => assert.equal(json['object'], 'list'),
  'data[].id, object: model, created, owned_by': isModelList,
  'data[].id; shown only if it contains dall-e or gpt-image': (answer) =>
    assert.ok(
      items(answer).some(({ id }) => String(id).includes('gpt-image')),
      'an alias is listed',
    ),
  '2xx without Origin and without a key': ({ response }) => assert.equal(response.status, 204),
  image: ({ json }) => assert.match(String(json['image']), PNG),
  'done: true': ({ json }) => assert.equal(json['done'], true),
  created_at: ({ json }) => assert.ok(Date.parse(String(json['created_at'])) > 0),
  model: ({ json, request }) => assert.equal(json['model'], (request.body as Json)['model']),
  'error.code: model_not_found': ({ json }) => assert.equal((json['error'] as Json)['code'], 'model_not_found'),
  '200 when x/z-image-turbo is an alias': () => undefined,
};

const OLLAMA_MODEL = 'x/z-image-turbo';

/** Needs images as input, which are refused by name until then. */
const isRefused = ({ path }: ClientRequest): boolean => path.endsWith('/edits');

for (const request of await clientRequests(['/v1/', '/api/generate']))
  test(`${request.client} gets what it needs`, async (t) => {
    const hasKey = Object.values(request.headers).some((value) => value.includes('KEY'));
    const isOllama = request.path === '/api/generate';
    const aliases = ['gpt-image-local', ...(isOllama ? [OLLAMA_MODEL] : [])];
    const server = { signer: new UrlSigner({ secrets: ['a secret of the test'] }) };
    const served = await serve(t, {
      server,
      ...(hasKey ? { keys: ['alice'] } : {}),
      models: [{ id: 'sd15', aliases }],
    });
    const response = await send(served.url, request, hasKey ? served.secretOf('alice') : '');
    const text = await response.text();
    const isJson = response.headers.get('content-type')?.startsWith('application/json') === true;
    const answer = { response, text, json: isJson ? (JSON.parse(text) as Json) : {}, request };
    if (isRefused(request)) {
      assert.deepEqual([response.status, response.headers.get('x-should-retry')], [501, 'false']);
      assert.equal((answer.json['error'] as Json)['code'], 'not_implemented');
      return;
    }
    assert.equal(response.status, request.answer.status, text.slice(0, 300));
    for (const need of request.answer.needs) {
      const check = CHECKS[need];
      assert.ok(check, `this test does not know what it means that a client needs: ${need}`);
      await check(answer);
    }
  });

test('a model that another client calls by a foreign name is served where the operator names it so', async (t) => {
  const served = await serve(t, { models: [{ id: 'sd15', aliases: [OLLAMA_MODEL] }] });
  const body = JSON.stringify({ model: OLLAMA_MODEL, prompt: 'a robot' });
  const response = await fetch(`${served.url}/v1/images/generations`, { method: 'POST', body });
  assert.deepEqual([response.status, response.headers.get('text2img-model')], [200, 'sd15']);
});
