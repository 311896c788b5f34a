/** The command line's grammar: what is typed becomes a command, its operand and its flags. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EXAMPLES } from '../../src/cli/help-texts.ts';
import { buildProgram, type Invocation, parseArguments } from '../../src/cli/program.ts';
import { Text2ImgError } from '../../src/errors/text2img-error.ts';
import { loadConfig } from '../../src/config/load.ts';
import { COMMANDS, flagOf, OPTIONS, type OptionSpec, optionsOf } from '../../src/config/options.ts';

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

test('a wrong value is named by the flag that was typed, an alias too', async () => {
  for (const [alias, value] of [
    ['--cfg-scale', 'x'],
    ['--steps', 'many'],
    ['--sampler', 'dpm+++'],
    ['--crops-coords-top-left', '1'],
  ] as const) {
    const { command, flags, spellings } = await parse('generate', 'a fox', alias, value);
    await assert.rejects(loadConfig({ command, flags, spellings, environment: {} }), (error: Error) =>
      error.message.startsWith(`${alias} "${value}" is not allowed`),
    );
  }
  const { command, flags, spellings } = await parse('generate', 'a fox', '--guidance-scale', 'x');
  await assert.rejects(
    loadConfig({ command, flags, spellings, environment: {} }),
    /^Text2ImgError: --guidance-scale "x"/,
  );
});

test('the habits of other tools: the prompt as argument, one letter, other names, both sides in one', async () => {
  assert.deepEqual((await parse('generate', 'a red circle', '-n', '2', '-s', '-1', '-o', '-')).flags, {
    prompt: 'a red circle',
    numImages: '2',
    seed: '-1',
    output: '-',
  });
  assert.deepEqual(
    (await parse('enqueue', '-p', 'x', '-W', '8', '-H16', '--steps=4', '--cfg-scale', '7', '--sampler', 'Euler a'))
      .flags,
    { prompt: 'x', width: '8', height: '16', numInferenceSteps: '4', guidanceScale: '7', scheduler: 'Euler a' },
  );
  for (const size of ['768x512', '768X512', '768×512', '768*512'])
    assert.deepEqual((await parse('generate', 'x', '--negative', 'y', '--size', size, '--width=768')).flags, {
      prompt: 'x',
      negativePrompt: 'y',
      width: '768',
      height: '512',
    });
  assert.deepEqual((await parse('--steps', '4', '--size=8x8')).flags, {
    numInferenceSteps: '4',
    width: '8',
    height: '8',
  });
});

test('other names are not in the help, letters are', () => {
  const help = buildProgram(() => {})
    .commands.find((one) => one.name() === 'generate')
    ?.helpInformation();
  assert.match(help ?? '', /^Usage: text2img generate \[options\] \[prompt\]/);
  assert.match(help ?? '', /-s, --seed <n>/);
  assert.match(help ?? '', /--no-clobber /);
  assert.doesNotMatch(help ?? '', /--steps|--sampler|--size|--clobber|--no-json/);
});

test('the options that most people need come first, and those that few need have a heading of their own', () => {
  const program = buildProgram(() => {});
  const find = (...path: readonly string[]) =>
    path.reduce((command, name) => command.commands.find((one) => one.name() === name) ?? command, program);
  const headings = (...path: readonly string[]) =>
    [
      ...find(...path)
        .helpInformation()
        .matchAll(/^(\S.*):$/gm),
    ].map(([, heading]) => heading);
  assert.deepEqual(headings('generate').slice(0, 3), ['Image', 'Image, rarely needed', 'Files']);
  assert.deepEqual(headings('enqueue').slice(0, 3), ['Image', 'Image, rarely needed', 'Queue and store']);
  assert.deepEqual(headings('jobs', 'list'), ['Selection', 'Queue and store', 'Output and logs']);
  assert.deepEqual(headings('webhooks', 'redrive'), ['Queue and store', 'Output and logs']);
  assert.equal(headings('run')[0], 'Queue and store');
  const [, image = ''] = find('generate')
    .helpInformation()
    .split(/^Image.*:$/m);
  assert.deepEqual(
    [...image.matchAll(/^  (?:-., )?(--[a-z-]+)/gm)].map(([, flag]) => flag),
    (
      '--prompt --negative-prompt --seed --num-inference-steps --guidance-scale --width --height ' +
      '--num-images --scheduler --schedule-type'
    ).split(' '),
  );
});

test('no letter and no other name is used twice', () => {
  for (const command of COMMANDS) {
    const flags = optionsOf(command).flatMap((name) => {
      const { short, aliases = [] }: OptionSpec = OPTIONS[name];
      return [flagOf(name), ...(short === undefined ? [] : [short]), ...aliases];
    });
    assert.equal(new Set([...flags, '-h', '--size']).size, flags.length + 2);
  }
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
  [['generate', 'a', '--prompt', 'b'], 'conflicting_options'],
  [['generate', '--size', '8x8', '--height', '16'], 'conflicting_options'],
  [['generate', '--size', '8'], 'invalid_option'],
  [['doctor', '--size', '8x8'], 'commander.unknownOption'],
  [['jobs', '--json', 'list'], 'unknown_option'],
  [['jobs'], 'commander.help'],
] as const) {
  test(`${args.join(' ')} is a usage error`, async () => {
    await assert.rejects(parse(...args), { code });
  });
}

for (const [args, says] of [
  [['generte', '--prompt', 'x'], /"generte".*"text2img generate"/],
  [['help', 'generat'], /"generat".*"text2img generate"/],
  [['help', 'jobs', 'lst'], /"jobs lst".*"text2img jobs list"/],
  [['jobs', 'help', 'lst'], /"jobs lst".*"text2img jobs list"/],
  [['webhook'], /"text2img webhooks"/],
  [['modle', 'list'], /"text2img models"/],
  [['retry', '7'], /"text2img jobs retry"/],
  [['pull', 'a/b'], /"text2img models pull"/],
  [['deliver'], /"text2img webhooks deliver"/],
  [['models', 'fetch'], /"text2img models pull", "text2img models list" or "text2img models show"\?.*models --help"/],
  [['version'], /Did you mean "text2img --version"\?/],
  [['setup', 'cuda-13'], /"text2img setup cuda"/],
  [['a red circle'], /text2img generate "a red circle"/],
  [['generate', 'a', 'red', 'circle'], /"red".*between quotes/],
  [['jobs', '--limit', '3'], /"text2img jobs list"/],
  [['run', 'in.jsonl'], /"in\.jsonl".*enqueue/],
  [['--watch', 'jobs', 'list'], /Put the command first: text2img jobs/],
  [['doctor', '\u001b[31m'], /\\u001b\[31m/],
] as const) {
  test(`${JSON.stringify(args)} is answered with the command that was perhaps meant`, async () => {
    await assert.rejects(parse(...args), { code: 'unknown_option', message: says });
  });
}

for (const [args, says] of [
  [['jobs', 'show'], 'The command "jobs show" needs <id>: text2img jobs show 65f1c0ff.'],
  [['models', 'pull'], 'needs <id>: text2img models pull stable-diffusion-v1-5/stable-diffusion-v1-5.'],
  [['generate', '--seed'], 'There is no value after the option: -s, --seed <n>.'],
  [['generate', 'x', '--steps'], 'There is no value after the option: --steps <n>.'],
  [['--wach'], 'There is no option "--wach". Did you mean --watch?'],
  [['generate', 'x', '-w', '64'], 'There is no option "-w". Did you mean -W?'],
  [['-v'], 'There is no option "-v". Did you mean -V?'],
  [['generate', '-x'], 'There is no option "-x".'],
  [['jobs', 'list', '--stat', 'error'], 'There is no option "--stat".'],
] as const) {
  test(`${JSON.stringify(args)} is answered with what is missing or unknown, and with the help of that command`, async () => {
    const [command, action] = args[0].startsWith('-') ? ['run', ''] : args;
    const path = command === 'jobs' || command === 'models' ? `${command} ${action}` : command;
    await assert.rejects(parseArguments(args), (error) => {
      assert.ok(error instanceof Text2ImgError);
      assert.ok(error.message.includes(says), error.message);
      assert.ok(error.message.endsWith(` See "text2img ${path} --help".`), error.message);
      return true;
    });
  });
}

for (const [args, usage] of [
  [['help'], 'text2img [options] [command]'],
  [['help', 'help'], 'text2img [options] [command]'],
  [['help', 'generate'], 'text2img generate [options] [prompt]'],
  [['help', 'jobs'], 'text2img jobs [options] [command]'],
  [['help', 'jobs', 'show'], 'text2img jobs show [options] <id>'],
  [['jobs', 'help', 'show'], 'text2img jobs show [options] <id>'],
  [['jobs', 'help'], 'text2img jobs [options] [command]'],
] as const) {
  test(`${args.join(' ')} prints the help of "${usage}"`, async () => {
    let written = '';
    const program = buildProgram(() => {});
    for (const command of [program, ...program.commands, ...program.commands.flatMap((group) => group.commands)])
      command.configureOutput({
        writeOut: (text) => void (written += text),
        writeErr: (text) => void (written += text),
      });
    await assert.rejects(program.parseAsync(args, { from: 'user' }), { exitCode: 0 });
    assert.equal(written.split('\n')[0], `Usage: ${usage}`);
  });
}

test('a prompt may be the word help', async () => {
  assert.deepEqual((await parse('generate', 'help')).flags, { prompt: 'help' });
});

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
