/** Frictions 2, 11, 12, 13 and 14 against a real MongoDB: documents from elsewhere, what the log says of them, and the commands about jobs. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MongoClient, ObjectId } from 'mongodb';
import { NO_MONGOD } from '../../servers/find-mongod.ts';
import type { Neighbours } from './neighbours.ts';
import { PACKAGE } from '../run-cli.ts';
import type { Place } from './places.ts';
import { jsonLines, Shell } from './shell.ts';

const SMALL = { num_inference_steps: 2, width: 64, height: 64 };
/** All begin alike. */
const idOf = (last: number): ObjectId => new ObjectId(`65f1c0ffee01234567890${String(last).padStart(3, '0')}`);
const ids = { good: idOf(1), wide: idOf(2), text: idOf(3), empty: idOf(4), slips: idOf(5) };
const DOCUMENTS = [
  { _id: ids.good, text: 'a red circle', ...SMALL },
  { _id: ids.wide, text: 'a cat', width: 100_000 },
  { _id: ids.text, text: 'a cat', height: '512' },
  { _id: ids.empty, note: 'no prompt' },
  {
    _id: ids.slips,
    text: 'a cat',
    width: 64,
    height: 64,
    num_inference_step: 4,
    negativePrompt: 'x',
    sampler_name: 'Euler a',
  },
];

export function testJobs(place: Place, { mongo, hook, environment }: Neighbours): void {
  const skip = mongo === undefined ? NO_MONGOD : false;
  const uri = mongo?.uri(`jobs-${place.kind}`) ?? '';
  const worker = {
    MONGO_URI: uri,
    GCS_BUCKET: 'my-bucket',
    CALLBACK_URL: hook.url,
    LOG_FILE: 'service.log',
    NUM_INFERENCE_STEPS: '2',
  };
  const shell = new Shell(place, 'jobs', environment);

  test('2 and 13: a refused document is one WARNING without a stack, with its sentence under error.message', {
    skip,
  }, async () => {
    await using client = new MongoClient(uri);
    await client
      .db()
      .collection('prompts')
      .insertMany(DOCUMENTS.map((document) => ({ ...document, status: 'pending' })));
    await shell.type('text2img run', { says: /2 images in .*3 jobs failed/, never: / ERROR |\n\s+at / }, worker);
    const refused = shell.logOf('service.log').filter(({ message }) => message === 'prompt failed');
    const told = new Map(refused.map((line) => [line['prompt_id'], line]));
    for (const [id, sentence] of [
      [ids.wide, /"width".* is 100000/],
      [ids.text, /"height" is text \("512"\); a number is needed/],
      [ids.empty, /"text" is missing/],
    ] as const) {
      const { level, error } = (told.get(String(id)) ?? {}) as { level?: string; error?: Record<string, string> };
      assert.equal(level, 'WARNING');
      assert.match(error?.['code'] ?? '', /^invalid_(?:parameter|prompt)$/);
      assert.match(error?.['message'] ?? '', sentence);
      assert.equal(error?.['stack'], undefined);
    }
  });

  test('3: a document from elsewhere is generated with one warning about its fields', { skip }, async () => {
    const { stdout } = await shell.type(`text2img jobs show ${ids.slips.toHexString()} --json --mongo-uri ${uri}`);
    const { warnings = [] } = (jsonLines(stdout, 'jobs show')[0] ?? {}) as { warnings?: string[] };
    assert.equal(warnings.length, 1, stdout);
    for (const name of ['num_inference_step', 'negativePrompt', 'sampler_name'])
      assert.ok(warnings[0]?.includes(`"${name}"`), stdout);
  });

  test('14: a log line has what operators ask for, on standard error as well, and levels have their common spellings', {
    skip,
  }, async () => {
    const done = shell.logOf('service.log').find(({ message }) => message === 'prompt completed');
    for (const name of ['duration_ms', 'steps', 'size', 'model', 'worker', 'pid', 'host', 'version'])
      assert.ok(done?.[name] !== undefined, `${name}: ${JSON.stringify(done)}`);
    assert.equal(done?.['version'], PACKAGE.version);
    // Two workers on one file.
    await Promise.all([1, 2].map(() => shell.type('LOG_LEVEL=info text2img run', {}, worker)));
    assert.equal(new Set(shell.logOf('service.log').map(({ pid }) => pid)).size, 3);
    const { stderr } = await shell.type('text2img run --log-format json', {}, worker);
    assert.equal(jsonLines(stderr, 'run').length, stderr.trimEnd().split('\n').length, stderr);
    await shell.type('LOG_LEVEL=warn text2img run', { never: /INFO/ }, { ...worker, LOG_FILE: '' });
  });

  test('11: jobs list needs no bucket, has headings, and says where it found nothing', { skip }, async () => {
    const { stdout } = await shell.type(`text2img jobs list --mongo-uri ${uri}`, {
      prints: /^ID +STATUS +AGE +TRIED +TOOK +WORKER +PROMPT +RESULT\n/,
      says: /0 pending, 0 processing, 2 completed, 3 in error/,
    });
    assert.equal(stdout.trimEnd().split('\n').length, 1 + DOCUMENTS.length);
    await shell.type(`text2img jobs list --mongo-uri ${mongo?.uri('wrong')}`, {
      prints: /^$/,
      says: /0 jobs in .*wrong\.prompts/,
    });
    const part = ids.good.toHexString().slice(0, 22);
    const several = await shell.type(`text2img jobs show ${part} --mongo-uri ${uri}`, {
      code: 2,
      says: /Several jobs begin with/,
    });
    assert.ok(several.stderr.includes(ids.wide.toHexString()));
    await shell.type(`text2img jobs show 6b07020e60e1 --mongo-uri ${uri}`, {
      code: 2,
      says: /There is no job "6b07020e60e1" in .*jobs list/,
    });
    await shell.type(`text2img jobs list --json --mongo-uri ${uri}`, { prints: /"status":"error"/ });
  });

  test('12: jobs show says what was asked, who worked for how long, and the webhook; retry takes many', {
    skip,
  }, async () => {
    await shell.type(`text2img jobs show ${ids.wide.toHexString()} --mongo-uri ${uri}`, {
      prints: [/^ {2}width +100000$/m, /^worker +\S+:\d+$/m, /^took +\d/m, /^error +invalid_parameter/m],
    });
    await shell.type(`text2img jobs show ${ids.good.toHexString()} --mongo-uri ${uri}`, {
      prints: [
        /^ {2}num_inference_steps +2$/m,
        /^took +\d/m,
        /^ *model +\S+/m,
        /^webhook +msg_\S+ +delivered/m,
        /^image +gs:\/\/my-bucket\//m,
      ],
    });
    const selection = `text2img jobs retry --status error --mongo-uri ${uri}`;
    await shell.type(`${selection} --code store_failed`, { prints: /^0 jobs retried\n$/ });
    await shell.type(`${selection} --code invalid_parameter --dry-run`, { prints: /^2 jobs would be retried\n$/ });
    await shell.type(`${selection} --code invalid_parameter`, { prints: /^2 jobs retried\n$/ });
  });
}
