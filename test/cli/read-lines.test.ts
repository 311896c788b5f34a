/** JSON lines: what stands in a line is what is added, or the line is refused. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import fc from 'fast-check';
import { readPrompts } from '../../src/cli/read-lines.ts';
import { Text2ImgError } from '../../src/errors/text2img-error.ts';

type Read = Awaited<ReturnType<typeof readPrompts>>;

async function linesOf(t: TestContext, text: string | Buffer): Promise<Read['entries']> {
  return (await read(t, text)).entries;
}

async function read(t: TestContext, text: string | Buffer, name = 'lines.jsonl'): Promise<Read> {
  const folder = await mkdtemp(join(tmpdir(), 'text2img-lines-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const file = join(folder, name);
  await writeFile(file, text);
  return readPrompts(file);
}

test('lines keep their numbers, whatever ends them, and a byte order mark may stand before any of them', async (t) => {
  const lines = await linesOf(t, '\uFEFF{"a":1}\r\n\n  \t\n\uFEFF{"b":"\uFEFF"}\n{"c":3}');
  assert.deepEqual(lines, [
    { number: 1, value: { a: 1 } },
    { number: 4, value: { b: '\uFEFF' } },
    { number: 5, value: { c: 3 } },
  ]);
});

test('a number that would be changed is refused with its line, its field and as it was written', async (t) => {
  for (const [json, field, number] of [
    ['{"text":"a","order":9007199254740993}', 'order', '9007199254740993'],
    ['{"text":"a","mine":{"text":[1,{"deep":-1e999}]}}', 'mine', '-1e999'],
    ['{"a":{"b":1},"b":{"a":1e-400}}', 'b', '1e-400'],
    ['{"a":123456789012345678901234567890}', 'a', '123456789012345678901234567890'],
    ['{"a":0.1234567890123456789}', 'a', '0.1234567890123456789'],
    ['{"_id":-9007199254740992}', '_id', '-9007199254740992'],
  ] as const)
    await assert.rejects(linesOf(t, `{"text":"good"}\n${json}\n`), (error) => {
      assert.ok(error instanceof Text2ImgError && error.code === 'invalid_document');
      assert.match(error.message, /^Line 2 of ".*lines\.jsonl" /);
      assert.ok(error.message.includes(`the field "${field}" is ${number}.`), error.message);
      return true;
    });
});

test('numbers that are kept are taken, however they are written', async (t) => {
  const kept =
    '[0,-0.0,1.0,1e3,1E+3,0.1,0.30000000000000004,1e300,5e-324,2.50,9007199254740991,-9007199254740991,0.10000000000000000555,1764081000000,1.7976931348623157e308,100e-2,"12345678901234567890","1e400"]';
  const [line] = await linesOf(t, `{"a":${kept}}`);
  assert.deepEqual(line?.value, { a: JSON.parse(kept) });
});

test('every double in its shortest form is kept, and every whole number up to 2^53', async (t) => {
  const values = fc
    .sample(fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.maxSafeInteger()), {
      numRuns: 3000,
      seed: 7,
    })
    // Written without an exponent, a whole number beyond 2^53 is somebody's id.
    .filter((value) => !/^-?\d+$/.test(String(value)) || Number.isSafeInteger(value));
  const lines = await linesOf(t, values.map((value) => `{"a":${String(value)}}`).join('\n'));
  assert.equal(lines.length, values.length);
});

test('what is no JSON object is refused in a short sentence without control characters', async (t) => {
  for (const text of [
    '{"a":1',
    '[1]',
    '5',
    'null',
    '"x"',
    '\u009b31m\u001b[2J',
    `{${'x'.repeat(1_000_000)}`,
    '{"a":1}{"b":2}',
  ])
    await assert.rejects(linesOf(t, text), (error) => {
      assert.ok(error instanceof Text2ImgError && error.code === 'invalid_document');
      assert.ok(error.message.length <= 600);
      // oxlint-disable-next-line no-control-regex
      assert.doesNotMatch(error.message, /[\u0000-\u001f\u007f-\u009f]/);
      return true;
    });
  await assert.rejects(
    linesOf(t, Buffer.from([0x7b, 0xff, 0x7d])),
    (error) => (error as Text2ImgError).code === 'unreadable_file',
  );
  await assert.rejects(readPrompts('/nowhere/\u001b[2J'), (error) => (error as Text2ImgError).code === 'not_found');
});

test('a name like those that every object inherits is a field like any other', async (t) => {
  const [line] = await linesOf(t, '{"__proto__":{"text":"y"},"constructor":1e2,"toString":12345678901234}');
  assert.deepEqual(Object.keys(line?.value ?? {}), ['__proto__', 'constructor', 'toString']);
  assert.equal(Object.getPrototypeOf(line?.value), Object.prototype);
});

test('a line that is nested without end is left to the queue, which names the field', async (t) => {
  const [line] = await linesOf(t, `{"a":${'['.repeat(50_000)}1e1${']'.repeat(50_000)}}`);
  assert.ok(line !== undefined);
});

test('a text has one prompt a line, whatever the line ends with; blank lines are none', async (t) => {
  const text = '\uFEFFa red circle\r\n\n   two cats, {red|blue}\n[ not an array any more\n"quoted"';
  assert.deepEqual(await read(t, text, 'prompts.txt'), {
    noun: 'Line',
    entries: [
      { number: 1, value: { text: 'a red circle' } },
      { number: 3, value: { text: 'two cats, {red|blue}' } },
      { number: 4, value: { text: '[ not an array any more' } },
      { number: 5, value: { text: '"quoted"' } },
    ],
  });
  assert.deepEqual((await read(t, '\n \n', 'empty.txt')).entries, []);
});

test('what a file is is said by its first character, not by its name; but a text is not taken for JSON lines', async (t) => {
  for (const name of ['x.txt', 'x', 'x.jsonl', 'x.json'])
    assert.deepEqual((await read(t, '\n {"text":"a"}\n', name)).entries, [{ number: 2, value: { text: 'a' } }]);
  for (const name of ['x.jsonl', 'x.JSON', 'x.ndjson'])
    await assert.rejects(read(t, 'a red circle\n', name), {
      code: 'invalid_document',
      message: /^Line 1 of .*not JSON/,
    });
  await assert.rejects(read(t, '{"text":"a"}\na red circle\n', 'x.txt'), {
    code: 'invalid_document',
    message: /^Line 2 of /,
  });
});

test('a JSON array has objects and prompts; each is read like a line', async (t) => {
  const array = '\uFEFF\n[ {"text":"a, ] b","mine":[{"x":"\\"}"}]},\n"a \\"red\\" [circle]" ,{"text":"c"}]\n';
  assert.deepEqual(await read(t, array), {
    noun: 'Element',
    entries: [
      { number: 1, value: { text: 'a, ] b', mine: [{ x: '"}' }] } },
      { number: 2, value: { text: 'a "red" [circle]' } },
      { number: 3, value: { text: 'c' } },
    ],
  });
  assert.deepEqual((await read(t, ' [ ] ')).entries, []);
  for (const [bad, says] of [
    ['[{"text":"a"}', /no JSON array/],
    ['[{"text":"a"}] x', /no JSON array/],
    ['["a', /no JSON array/],
    ['[{"text":"a"},]', /^Element 2 of .*not JSON/],
    ['[,]', /^Element 1 of .*not JSON/],
    ['[{"text":"a"},7]', /^Element 2 of .*not a JSON object/],
    ['[{"text":"a"},{"text":]}]', /^Element 2 of .*not JSON/],
    ['[{"n":1},{"n":9007199254740993}]', /^Element 2 of .*the field "n" is 9007199254740993/],
    ['[[1]]', /^Element 1 of .*not a JSON object/],
    ['["a" "b"]', /^Element 1 of .*not JSON/],
  ] as const)
    await assert.rejects(read(t, bad), { code: 'invalid_document', message: says });
});

test('any JSON array is split as JSON itself reads it', async (t) => {
  const values = fc.sample(
    fc.array(fc.object({ key: fc.string(), maxDepth: 3, values: [fc.string(), fc.boolean()] })),
    {
      numRuns: 200,
      seed: 3,
    },
  );
  for (const value of values)
    assert.deepEqual(
      (await read(t, JSON.stringify(value, undefined, 1))).entries.map((entry) => entry.value),
      JSON.parse(JSON.stringify(value)),
    );
});
