/**
 * A field that no file of `src/` knows, added to the table: whatever handles requests must take it from there. This is how a field is added, so
 * no other file may need a change.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { requestPage } from '../../scripts/request-page.ts';
import { requestOptions, requestValues } from '../../src/config/options/request-options.ts';
import { requestSchemaOf } from '../../src/engine/request-schema.ts';
import { parametersText } from '../../src/image/parameters-text.ts';
import { batchKeyOf } from '../../src/job/batch-key.ts';
import { decimal, text, whole } from '../../src/job/field-types.ts';
import { DEFAULT_LIMITS } from '../../src/job/limits.ts';
import type { ModelFacts } from '../../src/job/model-facts.ts';
import { loggedRequest } from '../../src/job/logged-request.ts';
import { documentCodec, toDocument } from '../../src/job/prompt-document.ts';
import { type Defaults, field } from '../../src/job/request-field.ts';
import { REQUEST_FIELDS } from '../../src/job/request-fields.ts';
import { requestResolver } from '../../src/job/resolve-request.ts';
import { MODEL_FACTS } from './a-request.ts';

const TABLE = {
  ...REQUEST_FIELDS,
  filmGrain: field<number>()({
    wire: 'film_grain',
    help: 'Grains of the film',
    type: () => whole({ min: 0, max: 11 }),
    default: 0,
    flag: { placeholder: '<n>' },
    png: 'Film grain',
    batchKey: (layers) => layers,
  }),
} as const;

const MODEL: ModelFacts = { ...MODEL_FACTS, fields: Object.keys(TABLE) };
const OPTIONS = { defaults: {}, model: MODEL, limits: DEFAULT_LIMITS, seed: 5 };

const codec = documentCodec(TABLE);
const resolve = requestResolver(TABLE);
const request = { prompt: 'a fox', filmGrain: 2 } as const;

test('the extra field is read from a document and refused out of its range', () => {
  assert.deepEqual(codec.parse({ text: 'a fox', film_grain: 2 }, DEFAULT_LIMITS).request, request);
  assert.throws(() => codec.parse({ text: 'a fox', film_grain: 12 }, DEFAULT_LIMITS), {
    code: 'invalid_parameter',
    message: '"film_grain" is 12; allowed are whole numbers from 0 to 11.',
  });
});

test('both queues ask for the extra field', () => {
  assert.ok(codec.names.includes('film_grain'));
  assert.deepEqual(codec.project({ text: 'a fox', film_grain: 2, mine: 1 }), { text: 'a fox', film_grain: 2 });
});

test('the extra field has its own default, then the model’s, then the operator’s, then the document’s', () => {
  assert.equal(resolve({ prompt: 'a fox' }, OPTIONS).filmGrain, 0);
  const model = { ...MODEL, defaults: { filmGrain: 3 } };
  assert.equal(resolve({ prompt: 'a fox' }, { ...OPTIONS, model }).filmGrain, 3);
  assert.equal(resolve({ prompt: 'a fox' }, { ...OPTIONS, model, defaults: { filmGrain: 1 } }).filmGrain, 1);
  assert.equal(resolve({ prompt: 'a fox' }, { ...OPTIONS, defaults: { filmGrain: 1 } }).filmGrain, 1);
  assert.equal(resolve(request, { ...OPTIONS, defaults: { filmGrain: 1 } }).filmGrain, 2);
});

test('the extra field is written into job.parameters', () => {
  assert.equal(codec.used(resolve(request, OPTIONS), MODEL)['film_grain'], 2);
});

test('the extra field has a flag with help, range and default, for every command that has requests', () => {
  const { filmGrain } = requestOptions(TABLE, ['run', 'generate', 'enqueue']);
  assert.equal(filmGrain.doc, 'Grains of the film (a whole number from 0 to 11; default: 0).');
  assert.equal(filmGrain.placeholder, '<n>');
  assert.deepEqual(filmGrain.commands, ['run', 'generate', 'enqueue']);
  assert.equal(filmGrain.allowed, 'a whole number from 0 to 11');
  assert.equal(filmGrain.type.parseText('2'), 2);
  assert.equal(filmGrain.type.parseText('12'), undefined);
});

test('the flag of the extra field becomes part of the document that generate and enqueue make, and a default of run', () => {
  const values = requestValues(TABLE, { prompt: 'a fox', filmGrain: 2, width: undefined, json: true });
  assert.deepEqual(values, request);
  assert.deepEqual(toDocument(TABLE, values), { text: 'a fox', film_grain: 2 });
});

test('a model that does not read the extra field refuses it in a document and ignores it as the operator’s default', () => {
  const model = { ...MODEL, fields: Object.keys(TABLE).filter((name) => name !== 'filmGrain') };
  assert.throws(() => resolve(request, { ...OPTIONS, model }), {
    code: 'invalid_parameter',
    message: '"film_grain" is 2; the model "m" does not read "film_grain", so leave it out.',
  });
  const resolved = resolve({ prompt: 'a fox' }, { ...OPTIONS, model, defaults: { filmGrain: 1 } });
  assert.equal(resolved.filmGrain, 0);
  assert.equal('film_grain' in codec.used(resolved, model), false);
});

test('the extra field passes to the engine, whose protocol checks its kind and no range', () => {
  const schema = requestSchemaOf(TABLE);
  const resolved = resolve(request, OPTIONS);
  assert.deepEqual(schema.parse(resolved), resolved);
  assert.equal(schema.safeParse({ ...resolved, filmGrain: 12 }).success, true);
  for (const filmGrain of ['2', 2.5, null, undefined])
    assert.equal(schema.safeParse({ ...resolved, filmGrain }).success, false);
});

test('images whose extra fields differ share no pass', () => {
  const keyOf = batchKeyOf(TABLE);
  const keyed = (filmGrain: number): string => keyOf(resolve({ prompt: 'a fox', filmGrain }, OPTIONS));
  assert.equal(keyed(2), keyed(2));
  assert.notEqual(keyed(2), keyed(1));
});

test('the extra field is written into the PNG’s text and read back, after the usual names', () => {
  const { format, parse, notTaken } = parametersText(TABLE);
  const text = format({ ...resolve(request, OPTIONS), modelName: 'm', modelHash: null });
  assert.match(text, /Size: 64x64, Model: m, Film grain: 2, Scheduler: DDIMScheduler, Version:/);
  assert.equal(parse(text).filmGrain, 2);
  assert.deepEqual(notTaken(text), []);
  assert.throws(() => parse('p\nSteps: 1, Seed: 1, Film grain: two'), {
    code: 'unreadable_file',
    message: /Film grain: "two"/,
  });
});

test('the extra field has a row in docs/requests.md', () => {
  assert.ok(
    requestPage(TABLE).includes(
      '| `film_grain` | Grains of the film. | a whole number from 0 to 11 | 0 | `--film-grain` | `TEXT2IMG_FILM_GRAIN` | `Film grain` |',
    ),
  );
});

test('an extra text is logged by its length only', () => {
  const table = {
    ...TABLE,
    secondPrompt: field<string>()({ wire: 'caption', help: 'h', type: () => text({ maxBytes: 99 }), default: '' }),
  } as const;
  const resolved = requestResolver(table)(
    { prompt: 'a fox', secondPrompt: 'private' },
    { ...OPTIONS, model: { ...MODEL, fields: Object.keys(table) } },
  );
  const logged = loggedRequest(table, resolved);
  assert.equal(JSON.stringify(logged).includes('private'), false);
  assert.deepEqual(
    [logged['prompt_length'], logged['negative_prompt_length'], logged['caption_length'], logged['film_grain']],
    [5, 0, 7, 0],
  );
});

test('a field without a default stays without a value, in the protocol, in job.parameters and in the PNG; an operator may give one', () => {
  const table = {
    ...REQUEST_FIELDS,
    filmSpeed: field<number>()({
      wire: 'film_speed',
      help: 'h',
      type: () => decimal({ min: 0, max: 1 }),
      default: null,
      flag: { placeholder: '<x>' },
      png: 'Film speed',
    }),
  } as const;
  const model = { ...MODEL, fields: Object.keys(table) };
  const byOperator: Defaults<typeof table> = requestValues(table, { filmSpeed: 0.5 });
  const without = requestResolver(table)({ prompt: 'a fox' }, { ...OPTIONS, model });
  const given = requestResolver(table)({ prompt: 'a fox' }, { ...OPTIONS, model, defaults: byOperator });
  assert.deepEqual([without.filmSpeed, given.filmSpeed], [null, 0.5]);
  for (const request of [without, given]) assert.deepEqual(requestSchemaOf(table).parse(request), request);
  const used = documentCodec(table).used;
  assert.deepEqual([used(without, model)['film_speed'], used(given, model)['film_speed']], [undefined, 0.5]);
  const text = (request: typeof given): string =>
    parametersText(table).format({ ...request, modelName: 'm', modelHash: null });
  assert.deepEqual([/Film speed: /.test(text(without)), /Film speed: 0\.5,/.test(text(given))], [false, true]);
});
