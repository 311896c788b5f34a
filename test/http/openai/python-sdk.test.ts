/** OpenAI's SDK for Python against the server: images, a stream, errors as its classes. */
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { serve } from '../served.ts';

const python = process.env['TEXT2IMG_TEST_PYTHON'] ?? 'python3';
const hasSdk = spawnSync(python, ['-c', 'import openai']).status === 0;
const skip = hasSdk
  ? false
  : `NOT RUN: the Python at ${python} has no openai; set TEXT2IMG_TEST_PYTHON. OpenAI's SDK for Python was not tried against the server.`;

const PROGRAM = `
import base64, json, sys
import openai

client = openai.OpenAI(base_url=sys.argv[1] + '/v1', api_key='any', timeout=60)
found = {}

answer = client.images.generate(model='', prompt='a fox', n=2, size='16x8', quality='hd', extra_body={'seed': 5, 'steps': 2})
found['png'] = [base64.b64decode(item.b64_json)[1:4].decode() for item in answer.data]
found['seeds'] = [item.seed for item in answer.data]
found['usage'] = [answer.usage.total_tokens, answer.usage.input_tokens_details.text_tokens]
found['request_id'] = isinstance(answer._request_id, str)
found['created'] = answer.created > 1_700_000_000

events = list(client.images.generate(prompt='a fox', stream=True, partial_images=2))
found['last event'] = events[-1].type
found['stream usage'] = events[-1].usage.total_tokens

raw = client.images.with_raw_response.generate(prompt='a fox', quality='hd')
found['ignored'] = raw.headers['text2img-ignored']

found['models'] = [model.id for model in client.models.list()]
found['model'] = client.models.retrieve('a/b c').id

def refused(call):
    try:
        call()
    except openai.APIError as error:
        return [type(error).__name__, error.code, error.param]
    return 'was not refused'

found['size'] = refused(lambda: client.images.generate(prompt='a fox', size='large'))
found['unknown model'] = refused(lambda: client.images.generate(prompt='a fox', model='none'))
found['edit'] = refused(lambda: client.images.edit(prompt='a fox', image=b'image'))
found['failed stream'] = refused(lambda: list(client.images.generate(prompt=sys.argv[2], stream=True)))
print(json.dumps(found))
`;

test('OpenAI’s SDK for Python gets images, streams, models and errors', { skip }, async (t) => {
  const served = await serve(t, { models: [{ id: 'a/b c', aliases: [] }] });
  const failing = `[once invalid_image ${served.folder}/once]`;
  const { stdout } = await promisify(execFile)(python, ['-c', PROGRAM, served.url, failing]);
  assert.deepEqual(JSON.parse(stdout), {
    png: ['PNG', 'PNG'],
    seeds: [5, 6],
    usage: [2, 2],
    request_id: true,
    created: true,
    'last event': 'image_generation.completed',
    'stream usage': 2,
    ignored: 'quality',
    models: ['a/b c'],
    model: 'a/b c',
    size: ['BadRequestError', 'invalid_parameter', 'size'],
    'unknown model': ['NotFoundError', 'model_not_found', 'model'],
    edit: ['InternalServerError', 'not_implemented', null],
    'failed stream': ['APIError', 'invalid_image', null],
  });
});
const SLOW = `
import sys
import openai

client = openai.OpenAI(base_url=sys.argv[1] + '/v1', api_key='any', timeout=1, max_retries=5)
answer = client.images.generate(prompt='a fox [slow 600]')
print(answer.data[0].b64_json[:12])
`;

test('a request that this SDK repeats after a timeout takes over the job of the first one', { skip }, async (t) => {
  const served = await serve(t);
  const { stdout } = await promisify(execFile)(python, ['-c', SLOW, served.url]);
  assert.equal(stdout.trim(), 'iVBORw0KGgoA');
  assert.equal((await served.queue.list({ limit: 10 })).length, 1, 'generated once');
});
