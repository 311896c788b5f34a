/** Whatever stands in a message, a field's name, a value or a stack: one line stays one line, is bounded, and nothing in it is obeyed. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { createLogger } from '../../src/observability/logger.ts';
import { parseStrictly } from './strict-json.ts';
import { LONE_SURROGATES, OBEYED } from '../lib/obeyed-characters.ts';
import { growthOf } from '../lib/growth.ts';

const isSafe = (line: string): boolean =>
  line.isWellFormed() && !Array.from(line).some((character) => OBEYED.includes(character));

function written(act: (logger: ReturnType<typeof createLogger>) => void): { lines: string[]; file: string } {
  const folder = mkdtempSync(join(tmpdir(), 'text2img-line-'));
  const path = join(folder, 'log');
  const lines: string[] = [];
  using logger = createLogger({ level: 'DEBUG', logFile: path, writeLine: (line) => lines.push(line) });
  act(logger);
  const file = readFileSync(path, 'utf8');
  rmSync(folder, { recursive: true });
  return { lines, file };
}

test('every obeyed character is escaped in messages, names, values, nested names and stacks, for people and in the file', () => {
  for (const odd of [...OBEYED, ...LONE_SURROGATES]) {
    const text = `a${odd}b`;
    const { lines, file } = written((logger) =>
      logger.error(text, {
        [text]: text,
        list: [text],
        nested: { [text]: text },
        error: { message: text, stack: `x\n${text}` },
      }),
    );
    assert.ok(lines.every(isSafe), JSON.stringify(lines));
    assert.ok(isSafe(file.slice(0, -1)) && file.endsWith('\n'), JSON.stringify(file));
    const record = JSON.parse(file) as Record<string, unknown>;
    // A half of a pair has no form in UTF-8 but the escaped one.
    assert.deepEqual([record['message'], record[text], record['list']], [text, text, [text]]);
  }
});

test('a stack’s lines are indented and bounded, so that none can pass for a line of the log', () => {
  const { lines } = written((logger) =>
    logger.error('failed', {
      error: {
        message: 'x',
        stack: `Error: x\n12:00:00 INFO    all is well\n${'y'.repeat(100_000)}\n${'z\n'.repeat(100_000)}`,
      },
    }),
  );
  assert.ok(lines.slice(1).every((line) => line.startsWith('    ') && line.length < 400));
  assert.ok(lines.length < 40);
});

test('whatever the fields are, a line has at most some thousand characters and the logger does not throw', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary', maxLength: 3000 }),
      fc.dictionary(fc.string({ unit: 'binary' }), fc.anything()),
      (message, fields) => {
        const { lines, file } = written((logger) => logger.info(message, fields));
        assert.ok(lines.every((line) => line.length <= 3000 && isSafe(line)));
        assert.equal(file.split('\n').length, 2);
        parseStrictly(file);
      },
    ),
    { numRuns: 200 },
  );
});

test('ids and texts of a megabyte cost what some thousand characters cost', () => {
  const fieldsOf = (length: number) => ({
    prompt_id: 'a'.repeat(length),
    warning: '@://'.repeat(length / 4),
    error: new Error('b/'.repeat(length / 2)),
  });
  const logger = createLogger({ level: 'INFO', writeLine: () => undefined });
  const ratio = growthOf({
    make: (length) => ({ message: 'x'.repeat(length), fields: fieldsOf(length) }),
    use: ({ message, fields }) => logger.info(message, fields),
    size: 8000,
    factor: 125,
  });
  assert.ok(ratio < 60, `${ratio} times the time for 125 times the text`);
});

test('fields named as what the log itself writes stand beside it', () => {
  const { file } = written((logger) => logger.info('real', { level: 'x', time: 'y', message: 'z' }));
  const record = JSON.parse(file) as Record<string, unknown>;
  assert.equal(record['level'], 'INFO');
  assert.deepEqual([record['message'], record['level_'], record['time_'], record['message_']], ['real', 'x', 'y', 'z']);
});
