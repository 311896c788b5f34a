/** The command line's grammar: what is typed becomes a command, its operand and its flags. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EXAMPLES } from '../../src/cli/help-texts.ts';
import { buildProgram, type Invocation } from '../../src/cli/program.ts';
import { COMMANDS } from '../../src/config/options.ts';

async function parse(...args: string[]): Promise<Invocation> {
  let invocation: Invocation | undefined;
  await buildProgram((found) => {
    invocation = found;
  }).parseAsync(args, { from: 'user' });
  assert.ok(invocation !== undefined);
  return invocation;
}

test('run is the default command, with and without flags', async () => {
  assert.deepEqual(await parse(), { command: 'run', flags: {} });
  assert.deepEqual(await parse('--watch', '--batch-size', '2'), {
    command: 'run',
    flags: { watch: true, batchSize: '2' },
  });
  assert.deepEqual(await parse('--mongo-uri=mongodb://h/d', '--gcs-bucket=b'), {
    command: 'run',
    flags: { mongoUri: 'mongodb://h/d', gcsBucket: 'b' },
  });
});

test('--model-id is another name of --model', async () => {
  assert.deepEqual((await parse('generate', '--model-id', 'm')).flags, { model: 'm' });
});

test('a switch can be turned off', async () => {
  assert.deepEqual((await parse('--no-watch')).flags, { watch: false });
});

test('values may begin with a dash when they are joined with =', async () => {
  assert.deepEqual((await parse('generate', '--prompt=-v', '--seed=-1')).flags, { prompt: '-v', seed: '-1' });
});

test('jobs and enqueue take an operand', async () => {
  assert.deepEqual(await parse('jobs', 'show', '7', '--json'), {
    command: 'jobs',
    action: 'show',
    operand: '7',
    flags: { json: true },
  });
  assert.deepEqual(await parse('enqueue', '-'), { command: 'enqueue', operand: '-', flags: {} });
});

for (const [args, code] of [
  [['--nonsense'], 'commander.unknownOption'],
  [['nonsense'], 'unknown_option'],
  [['generate', '--watch'], 'commander.unknownOption'],
  [['generate', '--prompt'], 'commander.optionMissingArgument'],
  [['jobs', 'show'], 'commander.missingArgument'],
  [['jobs', 'show', '1', '2'], 'unknown_option'],
  [['jobs', 'lst'], 'unknown_option'],
  [['--json', 'doctor'], 'unknown_option'],
  [['constructor'], 'unknown_option'],
  [[''], 'unknown_option'],
  [['generate', '--model', 'a', '--model-id', 'b'], 'conflicting_options'],
] as const) {
  test(`${args.join(' ')} is a usage error`, async () => {
    await assert.rejects(parse(...args), { code });
  });
}

for (const [args, says] of [
  [['generte', '--prompt', 'x'], /"generte".*"text2img generate"/],
  [['webhook'], /"text2img webhooks"/],
  [['modle', 'list'], /"text2img models"/],
  [['retry', '7'], /"text2img jobs retry"/],
  [['pull', 'a/b'], /"text2img models pull"/],
  [['deliver'], /"text2img webhooks deliver"/],
  [['models', 'fetch'], /"text2img models pull" or "text2img models list" or "text2img models show"/],
  [['setup', 'cuda-13'], /"text2img setup cuda"/],
  [['run', 'in.jsonl'], /"in\.jsonl".*enqueue/],
  [['--watch', 'jobs', 'list'], /Put the command first: text2img jobs/],
  [['doctor', '\u001b[31m'], /\\u001b\[31m/],
] as const) {
  test(`${JSON.stringify(args)} is answered with the command that was perhaps meant`, async () => {
    await assert.rejects(parse(...args), { code: 'unknown_option', message: says });
  });
}

test('the same model under both names is one model', async () => {
  assert.deepEqual((await parse('generate', '--model', 'm', '--model-id', 'm')).flags, { model: 'm' });
});

// Each example's words go through the grammar, so that the help cannot promise what is refused.
for (const command of COMMANDS) {
  for (const [line] of EXAMPLES[command]) {
    test(`the help's example works: ${line}`, async () => {
      const words = [...line.replace(/^.*?text2img ?/, '').matchAll(/"([^"]*)"|(\S+)/g)].map(
        ([, quoted, plain]) => quoted ?? plain ?? '',
      );
      assert.equal((await parse(...words)).command, command);
    });
  }
}
