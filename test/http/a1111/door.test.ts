/** The web UI's API over a real queue, store and worker: what each client sends, and what it needs back. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { createLogger } from '../../../src/observability/logger.ts';
import type { Served } from '../served.ts';
import { type Answer, basic, call, imagesOf, infoOf, type Json, SMALL, served, txt2img } from './calls.ts';
import { CLIENT_REQUESTS, type ClientRequest } from './client-requests.ts';

/** What a client needs of the answer, by the words of `http-clients.json`. */
const NEEDS: Readonly<Record<string, (answer: Answer) => void>> = {
  'images[]': (answer) => assert.equal(imagesOf(answer)[0]?.toString('latin1', 1, 4), 'PNG'),
  'images[0]': (answer) => assert.equal(imagesOf(answer)[0]?.toString('latin1', 1, 4), 'PNG'),
  info: ({ json }) => assert.equal(typeof json['info'], 'string'),
  'info: JSON string': (answer) => assert.ok(infoOf(answer)),
  'info: JSON string with seed, width, height, infotexts[0]': (answer) => {
    const { seed, width, height, infotexts } = infoOf(answer);
    assert.ok(Number.isInteger(seed));
    assert.deepEqual([width, height], [1024, 1024]);
    assert.match((infotexts as readonly string[])[0]?.split('\n').pop() ?? '', /^Steps: 22, Sampler: /);
  },
  'parameters: object': ({ json }) => assert.equal(typeof json['parameters'], 'object'),
  'no warning header: every field has its default': ({ headers }) =>
    assert.equal(headers.get('text2img-warnings'), null),
  'neither url nor auth in parameters, log or document': ({ text }) => {
    for (const secret of ['"url"', '"auth"', 'u:KEY', '127.0.0.1:7860']) assert.ok(!text.includes(secret), secret);
  },
  sd_model_checkpoint: ({ json }) => assert.equal(json['sd_model_checkpoint'], 'instant'),
  'any JSON': ({ text }) => assert.doesNotThrow(() => JSON.parse(text) as unknown),
  'a JSON body': ({ text }) => assert.equal(text, '{}'),
  'progress: 0': ({ json }) => assert.equal(json['progress'], 0),
  'state.job_count: 0': ({ json }) => assert.equal((json['state'] as Json)['job_count'], 0),
  'txt2img: array': ({ json }) => assert.deepEqual(json['txt2img'], []),
  'img2img: array': ({ json }) => assert.deepEqual(json['img2img'], []),
  'when the caller has no job': () => {},
  '2xx': ({ text }) => assert.equal(text, ''),
};

/** As it was recorded, but without a key: this server asks for none. A body without a type is one that fetch gives none either. */
async function replay(server: Served, { method, path, headers, body }: ClientRequest): Promise<Answer> {
  const isTyped = 'content-type' in headers;
  const { authorization: _, 'content-length': __, ...others } = headers;
  const bytes = body === null ? {} : { body: isTyped ? JSON.stringify(body) : new Blob([JSON.stringify(body)]) };
  const answer = await fetch(`${server.url}${path}`, { method, headers: others, ...bytes });
  const text = await answer.text();
  const json = text === '' || method === 'HEAD' ? {} : (JSON.parse(text) as Json | null);
  return { status: answer.status, headers: answer.headers, text, json: json ?? {} };
}

test('every request of a real client gets what this client needs', async (t) => {
  const server = await served(t);
  for (const request of CLIENT_REQUESTS) {
    // A setting would be the next client's model.
    if (request.client === 'Dify, stablediffusion: set the model') continue;
    const answer = await replay(server, request);
    assert.equal(answer.status, request.answer.status, `${request.client}: ${answer.text.slice(0, 500)}`);
    for (const need of request.answer.needs) {
      const check = NEEDS[need];
      assert.ok(check !== undefined, `nobody knows how to check: ${need}`);
      check(answer);
    }
  }
  const last = CLIENT_REQUESTS.find(({ client }) => client === 'Dify, stablediffusion: set the model');
  assert.ok(last !== undefined);
  assert.equal((await replay(server, last)).text, 'null');
  assert.equal((await call(server, '/sdapi/v1/options')).json['sd_model_checkpoint'], 'sd15');
});

test('a request of several passes answers with all its images, one seed after the other', async (t) => {
  const answer = await txt2img(await served(t), { prompt: 'a fox', ...SMALL, batch_size: 2, n_iter: 2, seed: 7 });
  assert.equal(answer.status, 200, answer.text.slice(0, 300));
  assert.equal(imagesOf(answer).length, 4);
  const { all_seeds, infotexts, steps, sampler_name } = infoOf(answer);
  assert.deepEqual(all_seeds, [7, 8, 9, 10]);
  assert.equal((infotexts as readonly string[]).length, 4);
  assert.equal(steps, 2);
  assert.equal(typeof sampler_name, 'string');
  assert.equal(answer.headers.get('text2img-id')?.split(', ').length, 2);
  assert.equal(answer.headers.get('text2img-model'), 'instant');
});

test('under an Idempotency-Key the seed of several passes follows from the key, so that two servers add the same jobs', async (t) => {
  const seeds = async (headers: Readonly<Record<string, string>>): Promise<unknown> =>
    infoOf(await txt2img(await served(t), { prompt: 'a fox', ...SMALL, n_iter: 2 }, headers))['all_seeds'];
  const first = await seeds({ 'idempotency-key': 'order-1' });
  assert.deepEqual(await seeds({ 'idempotency-key': 'order-1' }), first);
  assert.notDeepEqual(await seeds({ 'idempotency-key': 'order-2' }), first);
  assert.notDeepEqual(await seeds({}), await seeds({}));
});

test('send_images false leaves the images out and keeps their info', async (t) => {
  const answer = await txt2img(await served(t), { prompt: 'a fox', ...SMALL, send_images: false });
  assert.deepEqual(imagesOf(answer), []);
  assert.equal((infoOf(answer)['infotexts'] as readonly string[]).length, 1);
});

test('what has no effect is named in a header and in info', async (t) => {
  const answer = await txt2img(await served(t), { prompt: 'a fox', ...SMALL, enable_hr: true, width: 65 });
  assert.equal(answer.status, 200);
  const header = answer.headers.get('text2img-warnings') ?? '';
  assert.match(header, /"width" is 65; it was rounded down to 64\./);
  assert.match(header, /"enable_hr" \(hires fix\) true/);
  const { extra_generation_params: extra } = infoOf(answer) as { extra_generation_params: Json };
  assert.match(String(extra['Warnings']), /hires fix/);
});

test('url, auth and key of a body reach neither the answer nor the log, the queue or the store', async (t) => {
  const lines: string[] = [];
  const logger = createLogger({ level: 'DEBUG', writeLine: (line) => lines.push(line) });
  const server = await served(t, { logger });
  const secrets = { url: 'http://sesame-url.example', auth: 'sesame-user:sesame-word', key: 'sesame-key' };
  const answers = [
    await txt2img(server, { prompt: 'a fox', ...SMALL, ...secrets }),
    await txt2img(server, { prompt: 'a fox', ...SMALL, ...secrets, sampler_name: 'no such sampler' }),
    await txt2img(server, { prompt: 'a fox', ...SMALL, ...secrets, override_settings: { sd_model_checkpoint: 'x' } }),
    await call(server, '/sdapi/v1/options', { method: 'POST', body: { ...secrets, sd_model_checkpoint: 'sd15' } }),
    await call(server, '/sdapi/v1/txt2img', { method: 'POST', body: `{"auth":"sesame-word",` }),
    await call(server, '/sdapi/v1/txt2img', { method: 'POST', body: JSON.stringify([secrets]) }),
  ];
  assert.deepEqual(
    answers.map(({ status }) => status),
    [200, 422, 404, 200, 422, 422],
  );
  for (const { text, headers } of answers) {
    assert.ok(!text.includes('sesame'), text.slice(0, 300));
    assert.ok(!JSON.stringify([...headers]).includes('sesame'));
  }
  assert.ok(lines.length > 0);
  assert.ok(!lines.join('\n').includes('sesame'));
  const files = readdirSync(server.folder, { recursive: true, withFileTypes: true }).filter((file) => file.isFile());
  assert.ok(files.length > 1);
  for (const file of files) assert.ok(!readFileSync(join(file.parentPath, file.name)).includes('sesame'), file.name);
});

test('a job that fails is an error in the shape of the web UI', async (t) => {
  const answer = await txt2img(await served(t, { worker: { maxAttempts: 1 } }), { ...SMALL, prompt: 'a fox [fail]' });
  assert.equal(answer.status, 500, answer.text);
  assert.match(answer.headers.get('text2img-id') ?? '', /^[0-9a-f]{24}$/);
  for (const name of ['error', 'detail', 'body', 'errors']) assert.equal(typeof answer.json[name], 'string', name);
  assert.ok(String(answer.json['errors']).length > 5);
});

test('bad values are refused by the names that the client knows, and nothing is enqueued', async (t) => {
  const server = await served(t, { worker: false });
  for (const [body, detail] of [
    [{ steps: 0 }, /"steps" is 0/],
    [{ cfg_scale: -1 }, /"cfg_scale" is -1/],
    [{ batch_size: 1000 }, /"batch_size" is 1000/],
    [{ n_iter: 0 }, /"n_iter" is 0/],
    [{ prompt: 5 }, /"prompt" is 5/],
    [{ width: 'wide' }, /"width"/],
    [{ seed: -2 }, /"seed" is -2/],
    [{ sampler_name: 'Restart' }, /"Restart"/],
  ] as const) {
    const answer = await txt2img(server, { prompt: 'a fox', ...body });
    assert.equal(answer.status, 422, answer.text);
    assert.match(String(answer.json['detail']), detail);
  }
  assert.equal((await server.queue.counts()).pending, 0);
});

test('what is not there is FastAPI’s 404, and a wrong method its 405', async (t) => {
  const server = await served(t, { worker: false });
  for (const path of ['/sdapi/v1/loras/x', '/sdapi/v1', '/sdapi/v2/txt2img', '/sdapi/v1/sd-modules']) {
    const answer = await call(server, path);
    assert.deepEqual([answer.status, answer.text], [404, '{"detail":"Not Found"}'], path);
  }
  assert.equal((await call(server, '/sdapi/v1/txt2img')).status, 405);
});

test('what the web UI does and this server does not is 501 with a sentence, however large the body, and nothing is enqueued', async (t) => {
  const server = await served(t, { keys: ['ann'], worker: false });
  const headers = basic(server.secretOf('ann'));
  // More than any body may have: it is refused before it is read.
  const body = JSON.stringify({ prompt: 'a fox', init_images: ['A'.repeat(9 * 1024 * 1024)] });
  for (const path of [
    'img2img',
    'extra-single-image',
    'extra-batch-images',
    'interrogate',
    'create/embedding',
    'train/hypernetwork',
    'server-restart',
  ]) {
    const answer = await call(server, `/sdapi/v1/${path}`, {
      method: 'POST',
      headers,
      body: path === 'img2img' ? body : {},
    });
    assert.deepEqual([answer.status, answer.headers.get('x-should-retry')], [501, 'false'], path);
    assert.equal(answer.json['error'], 'not_implemented');
    for (const name of ['detail', 'errors'])
      assert.match(String(answer.json[name]), new RegExp(`^POST /sdapi/v1/${path} is not supported\\. `));
    assert.equal(answer.json['body'], '');
  }
  assert.equal((await call(server, '/sdapi/v1/img2img', { method: 'POST', body: {} })).status, 401);
  assert.equal((await server.queue.counts()).pending, 0);
});

test('every list that clients ask for is there', async (t) => {
  const server = await served(t, { worker: false });
  const get = async (path: string): Promise<unknown> =>
    JSON.parse((await call(server, `/sdapi/v1/${path}`)).text) as unknown;
  for (const path of [
    'sd-vae',
    'loras',
    'hypernetworks',
    'face-restorers',
    'realesrgan-models',
    'prompt-styles',
    'script-info',
    'extensions',
  ])
    assert.deepEqual(await get(path), [], path);
  assert.deepEqual(await get('embeddings'), { loaded: {}, skipped: {} });
  assert.deepEqual(await get('memory'), { ram: {}, cuda: {} });
  assert.deepEqual(await get('cmd-flags'), {});
  assert.deepEqual(await get('latent-upscale-modes'), [{ name: 'None' }]);
  assert.equal(((await get('upscalers')) as readonly Json[])[0]?.['name'], 'None');
  const samplers = (await get('samplers')) as readonly Json[];
  for (const name of ['Euler a', 'Euler', 'DPM++ 2M', 'DPM++ 2M Karras', 'DDIM', 'LCM'])
    assert.ok(
      samplers.some((sampler) => sampler['name'] === name),
      name,
    );
  const schedulers = (await get('schedulers')) as readonly Json[];
  assert.deepEqual(
    schedulers.slice(0, 2).map(({ name }) => name),
    ['automatic', 'karras'],
  );
  const models = (await get('sd-models')) as readonly Json[];
  assert.deepEqual(
    models.map(({ title, model_name }) => [title, model_name]),
    [
      ['instant', 'instant'],
      ['sd15', 'sd15'],
    ],
  );
  for (const path of ['refresh-checkpoints', 'refresh-vae', 'refresh-loras', 'unload-checkpoint', 'reload-checkpoint'])
    assert.equal((await call(server, `/sdapi/v1/${path}`, { method: 'POST' })).text, 'null', path);
});

test('options sets the model of the caller’s key alone, by any of its names, and takes everything it gave', async (t) => {
  const server = await served(t, { keys: ['ann', 'bob'], worker: false });
  const [ann = {}, bob = {}] = ['ann', 'bob'].map((name) => basic(server.secretOf(name)));
  const options = async (headers: Readonly<Record<string, string>>): Promise<Json> =>
    (await call(server, '/sdapi/v1/options', { headers })).json;
  const whole = { ...(await options(ann)), sd_model_checkpoint: 'old/name' };
  const answer = await call(server, '/sdapi/v1/options', { method: 'POST', body: whole, headers: ann });
  assert.deepEqual([answer.status, answer.text, answer.headers.get('text2img-warnings')], [200, 'null', null]);
  assert.equal((await options(ann))['sd_model_checkpoint'], 'sd15');
  assert.equal((await options(bob))['sd_model_checkpoint'], 'instant');
  const post = (body: object): Promise<Answer> =>
    call(server, '/sdapi/v1/options', { method: 'POST', body, headers: ann });
  assert.equal((await post({ sd_model_checkpoint: 'no-such-model' })).status, 404);
  assert.match((await post({ sd_vae: 'x' })).headers.get('text2img-warnings') ?? '', /"sd_vae" "x"/);
  for (const body of [{}, { sd_model_checkpoint: '' }, { sd_model_checkpoint: null }, { unknown: { deep: [1] } }])
    assert.equal((await post(body)).status, 200, JSON.stringify(body));
  assert.equal((await options(ann))['sd_model_checkpoint'], 'sd15');
});

test('a request without a model gets the caller’s, and one that names a model gets that one', async (t) => {
  const server = await served(t);
  await call(server, '/sdapi/v1/options', { method: 'POST', body: { sd_model_checkpoint: 'sd15' } });
  const modelOf = async (body: object): Promise<string | null> =>
    (await txt2img(server, { prompt: 'a fox', ...SMALL, ...body })).headers.get('text2img-model');
  assert.equal(await modelOf({}), 'sd15');
  assert.equal(await modelOf({ override_settings: { sd_model_checkpoint: 'instant' } }), 'instant');
  assert.equal(await modelOf({ model: 'old/name' }), 'sd15');
});

test('the root answers a ping, names the model to programs, and shows people a page', async (t) => {
  const server = await served(t, { worker: false });
  const ping = await call(server, '/', { method: 'HEAD' });
  assert.deepEqual([ping.status, ping.text], [200, '']);
  assert.deepEqual((await call(server, '/')).json, { model: 'instant', upscaler: 'None' });
  const page = await call(server, '/', { headers: { accept: 'text/html,*/*' } });
  assert.match(page.headers.get('content-type') ?? '', /^text\/html/);
  assert.match(page.text, /<code>\/v1<\/code>/);
});

test('with keys a request without one is 401 and asks for Basic; an empty Basic counts as none', async (t) => {
  const server = await served(t, { keys: ['ann'], worker: false });
  for (const authorization of ['', 'Basic', 'Basic Og==', 'Basic dTp3cm9uZw==']) {
    const answer = await call(server, '/sdapi/v1/options', { headers: { authorization } });
    assert.equal(answer.status, 401, authorization);
    assert.match(answer.headers.get('www-authenticate') ?? '', /^Basic/);
    assert.equal(typeof answer.json['detail'], 'string');
  }
  assert.equal((await call(server, '/sdapi/v1/options', { headers: basic(server.secretOf('ann')) })).status, 200);
  assert.equal((await call(server, '/', { method: 'HEAD' })).status, 200);
});

test('an image of the server goes back in through png-info', async (t) => {
  const server = await served(t);
  const made = await txt2img(server, { prompt: 'a fox', ...SMALL, seed: 5 });
  const [image] = made.json['images'] as readonly string[];
  const answer = await call(server, '/sdapi/v1/png-info', { method: 'POST', body: { image } });
  assert.equal(answer.json['info'], (infoOf(made)['infotexts'] as readonly string[])[0]);
  assert.equal((answer.json['parameters'] as Json)['Seed'], '5');
});
