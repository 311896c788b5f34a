/** A `txt2img` body becomes prompt documents, and everything that has no effect is named. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { noticeHeaders } from '../../../src/http/openai/notices.ts';
import { readTxt2Img } from '../../../src/http/a1111/txt2img-request.ts';
import { Text2ImgError } from '../../../src/errors/text2img-error.ts';
import { DEFAULT_LIMITS } from '../../../src/job/limits.ts';
import { parsePromptDocument } from '../../../src/job/prompt-document.ts';
import { CLIENT_REQUESTS, requestOf } from './client-requests.ts';

const read = (body: unknown) => readTxt2Img(body, () => 1000);
const documentOf = (body: object) => read({ prompt: 'a fox', ...body }).documents[0] ?? {};
const warningsOf = (body: object) => read({ prompt: 'a fox', ...body }).warnings;
const refusalOf = (body: object) => {
  for (const document of read({ prompt: 'a fox', ...body }).documents) parsePromptDocument(document, DEFAULT_LIMITS);
};

const txt2img = CLIENT_REQUESTS.filter(({ path }) => path.endsWith('/txt2img'));

test('every client’s body makes documents that the queue takes', () => {
  assert.ok(txt2img.length >= 6);
  for (const { client, body } of txt2img)
    for (const document of read(body).documents)
      assert.equal(parsePromptDocument(document, DEFAULT_LIMITS).request.prompt, 'a fox', client);
});

test('a body with the defaults that webuiapi always sends has no warning', () => {
  const { documents, warnings, sendsImages } = read(requestOf('webuiapi: txt2img').body);
  assert.deepEqual(warnings, []);
  assert.equal(sendsImages, true);
  assert.deepEqual(documents, [
    {
      text: 'a fox',
      num_inference_steps: 20,
      guidance_scale: 7,
      width: 512,
      height: 512,
      scheduler: 'Euler a',
      seed: 5,
    },
  ]);
});

test('SillyTavern’s, LibreChat’s, Open WebUI’s and Dify’s bodies have no warning', () => {
  for (const client of [
    'SillyTavern, auto',
    'LibreChat, Stable Diffusion',
    'Open WebUI, automatic1111',
    'Dify, stablediffusion',
  ])
    assert.deepEqual(read(requestOf(client).body).warnings, [], client);
});

test('a schedule that the sampler cannot do gives a warning instead of an error', () => {
  const { documents, warnings } = read(requestOf('SillyTavern, sdcpp').body);
  assert.equal(documents[0]?.['schedule_type'], undefined);
  assert.deepEqual(warnings, ['"scheduler" is "karras", which has no effect: the sampler "Euler a" cannot do it.']);
  assert.match(warningsOf({ sampler_name: 'Euler', scheduler: 'polyexponential' })[0] ?? '', /no such schedule/);
  assert.match(warningsOf({ sampler_name: 'Euler', scheduler: 'Gits' })[0] ?? '', /no such schedule here/);
});

test('sampler and schedule in one name or in two are the same', () => {
  const scheduler = (body: object) => {
    const { request } = parsePromptDocument(documentOf(body), DEFAULT_LIMITS);
    return [request.scheduler, request.scheduleType];
  };
  assert.deepEqual(scheduler({ sampler_name: 'DPM++ 2M Karras' }), ['dpmpp_2m_karras', undefined]);
  assert.deepEqual(scheduler({ sampler_name: 'DPM++ 2M Karras', scheduler: 'Karras' }), ['dpmpp_2m_karras', undefined]);
  assert.deepEqual(scheduler({ sampler_name: 'DPM++ 2M', scheduler: 'KARRAS' }), ['dpmpp_2m', 'karras']);
  assert.deepEqual(scheduler({ sampler_index: 'Euler', scheduler: 'Automatic' }), [
    'EulerDiscreteScheduler',
    undefined,
  ]);
  assert.match(
    warningsOf({ sampler_name: 'DPM++ 2M Karras', scheduler: 'beta' })[0] ?? '',
    /"DPM\+\+ 2M Karras" says "karras"/,
  );
});

test('a sampler that is not there is refused', () => {
  assert.throws(() => refusalOf({ sampler_name: 'Restart' }), { code: 'unknown_scheduler' });
  assert.throws(() => refusalOf({ sampler_name: 5 }), { code: 'invalid_parameter' });
});

test('n_iter makes jobs whose seeds go on, and one seed is chosen for all where none is stated', () => {
  const seeds = (body: object) => read({ prompt: '', ...body }).documents.map(({ seed }) => seed);
  assert.deepEqual(seeds({ n_iter: 3, batch_size: 2, seed: 7 }), [7, 9, 11]);
  assert.deepEqual(seeds({ n_iter: '2', seed: -1 }), [1000, 1001]);
  assert.deepEqual(seeds({ seed: -1 }), [undefined]);
  assert.deepEqual(seeds({ seed: '' }), [undefined]);
  assert.equal(documentOf({ batch_size: 4 })['num_images'], 4);
  for (const n_iter of [0, -1, 1.5, 101, 'many', [], true])
    assert.throws(
      () => read({ prompt: '', n_iter }),
      { code: 'invalid_parameter', message: /"n_iter"/ },
      String(n_iter),
    );
});

test('numbers and null as clients write them are read', () => {
  assert.deepEqual(documentOf({ steps: '12', cfg_scale: '6.5', width: ' 512 ', height: null, seed: null }), {
    text: 'a fox',
    num_inference_steps: 12,
    guidance_scale: 6.5,
    width: 512,
  });
  assert.throws(() => refusalOf({ steps: 'ten' }), { code: 'invalid_parameter' });
  assert.deepEqual(documentOf({ prompt_2: '12' })['prompt_2'], '12');
});

test('a side that 8 does not divide is rounded down and named', () => {
  const { documents, warnings } = read({ prompt: '', width: 513, height: 511 });
  assert.deepEqual([documents[0]?.['width'], documents[0]?.['height']], [512, 504]);
  assert.equal(warnings.length, 2);
  for (const width of [0, -8, 7, 1.5, '8px']) assert.throws(() => refusalOf({ width }), { code: 'invalid_parameter' });
});

test('clip skip counts one more than ours, in the settings and in the body', () => {
  assert.equal(documentOf({ clip_skip: 2 })['clip_skip'], 1);
  assert.equal(documentOf({ override_settings: { CLIP_stop_at_last_layers: 3 }, clip_skip: 2 })['clip_skip'], 2);
  for (const clip_skip of [-1, 0, 1, null]) assert.equal('clip_skip' in documentOf({ clip_skip }), false);
});

test('the model of override_settings comes before that of the body, and an empty one counts as none', () => {
  const model = (body: object) => read({ prompt: '', ...body }).model;
  assert.equal(model({ model: 'b', override_settings: { sd_model_checkpoint: 'a' } }), 'a');
  assert.equal(model({ model: 'b', override_settings: { sd_model_checkpoint: '' } }), 'b');
  assert.equal(model({ model: null, override_settings: { sd_model_checkpoint: null } }), undefined);
});

test('eta reaches samplers that take it, and is named for the others', () => {
  assert.equal(documentOf({ sampler_name: 'DDIM', eta: 0.5 })['eta'], 0.5);
  assert.equal('eta' in documentOf({ sampler_name: 'DDIM', eta: 1 }), false);
  for (const eta of [0, 0.5]) {
    assert.equal('eta' in documentOf({ sampler_name: 'Euler a', eta }), false);
    assert.match(warningsOf({ sampler_name: 'Euler a', eta })[0] ?? '', /"eta" is 0/);
  }
});

test('everything that has no effect here is named in one sentence', () => {
  for (const [field, value] of [
    ['enable_hr', true],
    ['styles', ['anime']],
    ['subseed_strength', 0.5],
    ['seed_resize_from_w', 64],
    ['restore_faces', true],
    ['tiling', true],
    ['do_not_save_samples', true],
    ['s_churn', 1],
    ['s_noise', 1.1],
    ['script_name', 'X/Y/Z plot'],
    ['refiner_checkpoint', 'xl-refiner'],
    ['lora', [{ path: 'a', multiplier: 1 }]],
    ['init_images', ['data:image/png;base64,AAAA']],
    ['no_such_field', 'x'],
  ] as const) {
    const warnings = warningsOf({ [field]: value });
    assert.equal(warnings.length, 1, field);
    assert.ok(warnings[0]?.includes(`"${field}"`), `${field}: ${warnings[0]}`);
  }
});

test('scripts are named without their arguments, which hold whole images', () => {
  const [warning = ''] = warningsOf({ alwayson_scripts: { ControlNet: { args: [{ image: 'SECRETPIXELS' }] } } });
  assert.match(warning, /"alwayson_scripts" \["ControlNet"\]/);
  assert.doesNotMatch(warning, /SECRETPIXELS/);
});

test('settings of one request are named unless they say what is so anyway', () => {
  const warningOf = (override_settings: object) => warningsOf({ override_settings });
  assert.deepEqual(warningOf({ sd_vae: 'Automatic', CLIP_stop_at_last_layers: 1, sd_model_checkpoint: 'a' }), []);
  assert.deepEqual(warningOf({ sd_vae: '', samples_format: 'png' }), []);
  assert.match(warningOf({ sd_vae: 'vae-ft-mse' })[0] ?? '', /settings have no effect here: "sd_vae" "vae-ft-mse"/);
});

test('the tag of stable-diffusion.cpp in a prompt stands before the body', () => {
  const tag = {
    negative_prompt: 'blurry',
    clip_skip: 2,
    seed: 9,
    batch_count: 2,
    lora: [{ path: 'a', multiplier: 1 }],
    sample_params: { sample_steps: 12, sample_method: 'euler', scheduler: 'karras', guidance: { txt_cfg: 4 } },
  };
  const prompt = `a fox <sd_cpp_extra_args>${JSON.stringify(tag)}</sd_cpp_extra_args>`;
  const { documents, warnings } = read({ prompt, steps: 20, width: 64 });
  assert.deepEqual(documents, [
    {
      text: 'a fox',
      negative_prompt: 'blurry',
      num_inference_steps: 12,
      guidance_scale: 4,
      width: 64,
      scheduler: 'euler',
      schedule_type: 'karras',
      clip_skip: 1,
      num_images: 2,
      seed: 9,
    },
  ]);
  assert.deepEqual(warnings, ['These arguments in the prompt have no effect here: sd_cpp_extra_args.lora.']);
  assert.throws(() => read({ prompt: '<sd_cpp_extra_args>{</sd_cpp_extra_args>' }), { code: 'invalid_parameter' });
});

test('url, auth and key never get past the reader, and neither do images', () => {
  const request = read({
    ...requestOf('SillyTavern, auto').body,
    key: 'k-SECRET',
    mask: 'iVBOR-MASK',
    alwayson_scripts: { a: { args: ['iVBOR-ARGS'] } },
  });
  const text = JSON.stringify({ ...request, body: undefined });
  for (const secret of ['127.0.0.1:7860', 'u:KEY', 'k-SECRET', 'iVBOR-']) assert.ok(!text.includes(secret), secret);
  for (const name of ['url', 'auth', 'key']) assert.equal(name in request.body, false);
  assert.equal(request.parameters['sampler_name'], 'Euler a');
});

test('a body that is no object is refused without a word of it', () => {
  for (const body of [undefined, null, [], 'u:KEY', 5])
    assert.throws(() => read(body), { code: 'invalid_parameter', message: 'The body is not a JSON object.' });
});

test('a field named like a prototype is no field of a table', () => {
  const body = JSON.parse('{"prompt":"a fox","constructor":1,"__proto__":{"steps":9},"toString":"x"}') as object;
  assert.match(warningsOf(body)[0] ?? '', /"constructor" 1/);
  assert.equal(documentOf(body)['num_inference_steps'], undefined);
});

const FIELDS = Object.keys(requestOf('webuiapi: txt2img').body ?? {});

test('any body is read or refused with one of our errors, and its warnings fit into a header', () => {
  const name = fc.oneof(fc.constantFrom(...FIELDS, 'model', 'clip_skip', 'timesteps', 'auth'), fc.string());
  fc.assert(
    fc.property(fc.dictionary(name, fc.jsonValue(), { maxKeys: 30 }), (body) => {
      try {
        const { documents, warnings } = read(body);
        for (const value of Object.values(noticeHeaders({ ignored: [], warnings })))
          assert.match(value, /^[\x20-\x7e]{1,2010}$/);
        for (const document of documents) parsePromptDocument(document, DEFAULT_LIMITS);
      } catch (error) {
        if (!(error instanceof Text2ImgError && error.fault === 'request')) throw error;
      }
    }),
  );
});
