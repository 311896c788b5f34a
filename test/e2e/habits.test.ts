/** What users of other tools type, in an empty folder: it works, and what is replaced is named. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readGenerationParameters } from '../../src/image/read-parameters.ts';
import { runCli, temporaryFolder } from './run-cli.ts';

const ONE = ['--steps', '1', '--size', '64x128', '--device=cpu'];

test('prompt as argument, letters, sampler of the web UI, a folder as output, and then a file that is replaced', async () => {
  const folder = temporaryFolder();
  const first = await runCli({
    args: ['generate', 'a red circle', ...ONE, '-s', '7', '-n', '2', '--sampler', 'dpm++ 2m  karras', '-o', 'pics/'],
    cwd: folder,
  });
  assert.equal(first.code, 0, first.stderr);
  assert.deepEqual(readdirSync(join(folder, 'pics')), ['text2img-7-1.png', 'text2img-7-2.png']);
  assert.doesNotMatch(first.stderr, /replaced/);
  const { prompt, scheduler, widthPx, heightPx } = readGenerationParameters(
    readFileSync(join(folder, 'pics', 'text2img-7-2.png')),
  );
  assert.deepEqual([prompt, scheduler, widthPx, heightPx], ['a red circle', 'dpmpp_2m_karras', 64, 128]);

  const again = await runCli({
    args: ['generate', '-p', 'a red circle', ...ONE, '--cfg-scale=1', '-s7', '-o', 'pics/text2img-7-1.png', '--json'],
    cwd: folder,
  });
  assert.equal(again.code, 0, again.stderr);
  assert.match(again.stderr, /^replaced pics\/text2img-7-1\.png$/m);
  assert.equal((JSON.parse(again.stdout) as { replaced: boolean }).replaced, true);
});

test('the seed −1 is another random one each time, whatever the PNG of --from says', async () => {
  const folder = temporaryFolder();
  const made = await runCli({ args: ['generate', 'x', ...ONE, '--seed', '5', '-o', 'x.png'], cwd: folder });
  assert.equal(made.code, 0, made.stderr);
  const seeds: number[] = [];
  for (const from of [['x'], ['--from', 'x.png']]) {
    const { code, stdout, stderr } = await runCli({
      args: ['generate', ...from, ...ONE, '--seed', '-1', '--json'],
      cwd: folder,
    });
    assert.equal(code, 0, stderr);
    const { seed, path } = JSON.parse(stdout) as { seed: number; path: string };
    assert.ok(path.endsWith(`text2img-${seed}.png`) && existsSync(path));
    seeds.push(seed);
  }
  // Two of 2^32 numbers.
  assert.equal(new Set([...seeds, 5]).size, 3);
});

test('without clobbering nothing is drawn over a file, and nothing is drawn at all', async () => {
  const folder = temporaryFolder();
  const made = await runCli({ args: ['generate', 'x', ...ONE, '-o', 'x.png'], cwd: folder });
  assert.equal(made.code, 0, made.stderr);
  const before = statSync(join(folder, 'x.png')).mtimeMs;
  const { code, stderr } = await runCli({
    args: ['generate', 'x', ...ONE, '-o', 'x.png', '--no-clobber'],
    cwd: folder,
  });
  assert.equal(code, 2);
  assert.match(stderr, /"x\.png" exists.*\[invalid_option\]\n$/);
  assert.doesNotMatch(stderr, /loading the model/);
  assert.equal(statSync(join(folder, 'x.png')).mtimeMs, before);
});

test('prompt syntax of web UIs is drawn as plain text, and said so in the log and in JSON', async () => {
  const { code, stdout, stderr } = await runCli({
    args: ['generate', '(masterpiece:1.2), a {red|blue} circle, __color__, <lora:foo:0.8>', ...ONE, '--json'],
    cwd: temporaryFolder(),
  });
  assert.equal(code, 0, stderr);
  const { warnings } = JSON.parse(stdout) as { warnings: string[] };
  assert.equal(warnings.length, 1);
  assert.match(warnings[0] ?? '', /"\(masterpiece:1\.2\)".* and 1 more in the prompt: read as plain text/);
  assert.equal(stderr.match(/read as plain text/g)?.length, 1);
});

test('a file of text lines and a JSON array are added like JSON lines', async () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'prompts.txt'), '\uFEFFa red circle\r\n\r\ntwo cats\n');
  writeFileSync(join(folder, 'prompts.json'), '[\n  {"text": "a fox", "seed": 7},\n  "a dog"\n]\n');
  for (const args of [['prompts.txt', '--steps', '4'], ['prompts.json']]) {
    const { code, stdout, stderr } = await runCli({ args: ['enqueue', ...args], cwd: folder });
    assert.equal(code, 0, stderr);
    assert.equal(stdout.trim().split('\n').length, 2);
  }
  const piped = await runCli({ args: ['enqueue', '-'], stdin: 'from a pipe\n', cwd: folder });
  assert.equal(piped.code, 0, piped.stderr);
  const { stdout } = await runCli({ args: ['jobs', 'list', '--json'], cwd: folder });
  const texts = stdout
    .trim()
    .split('\n')
    .map((line) => (JSON.parse(line) as { text: string }).text);
  assert.deepEqual(texts.toSorted(), ['a dog', 'a fox', 'a red circle', 'from a pipe', 'two cats']);
});

test('misspelled fields are refused with the field that was meant, other tools’ are warned of once, users’ own are kept', async () => {
  const folder = temporaryFolder();
  const add = (text: string, ...more: string[]) =>
    runCli({ args: ['enqueue', '-', ...more], stdin: text, cwd: folder });
  const slip = await add('{"text":"a"}\n{"text":"a cat","num_inference_step":4}\n');
  assert.equal(slip.code, 3, slip.stderr);
  assert.match(
    slip.stderr,
    /Line 2 of standard input: .*"num_inference_step".*Did you mean "num_inference_steps"\?.*--allow-unknown-fields.*Nothing was added.*\[invalid_document\]\n$/,
  );
  const withDefault = await add('{"text":"a cat","num_inference_step":4}\n', '--steps', '2');
  assert.equal(withDefault.code, 3, 'a default beside it does not hide it');
  const kept = await add('{"text":"a cat","num_inference_step":4}\n', '--allow-unknown-fields');
  assert.equal(kept.code, 0, kept.stderr);
  const foreign = await add(
    '{"text":"a","sampler_name":"Euler a"}\n{"text":"b","sampler_name":1,"negativePrompt":"x"}\n',
  );
  assert.equal(foreign.code, 0, foreign.stderr);
  assert.equal(foreign.stderr.match(/fields of other tools/g)?.length, 1);
  assert.match(foreign.stderr, /documents=2.*sampler_name.*scheduler.*negativePrompt.*negative_prompt/);
  const own = await add('{"text":"a","weight":1,"tags":[],"test":true,"user":{"seeds":1}}\n');
  assert.equal(own.code, 0, own.stderr);
  assert.doesNotMatch(own.stderr, /WARNING/);
  const prompt = await add('{"prompt":"a cat"}\n');
  assert.equal(prompt.code, 3);
  assert.match(prompt.stderr, /"prompt".*Did you mean "text"\?/);
  const missing = await runCli({ args: ['enqueue', 'a red circle'], cwd: folder });
  assert.equal(missing.code, 2, missing.stderr);
  assert.match(missing.stderr, /does not exist.*To add one prompt: text2img enqueue --prompt "a red circle"\./);
  const { stdout } = await runCli({ args: ['jobs', 'list', '--json'], cwd: folder });
  assert.equal(stdout.trim().split('\n').length, 4);
});

test('what is no file of prompts says what to type', async () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'empty.txt'), '\n\n');
  for (const [args, code, says] of [
    [['fox'], 2, /"fox" does not exist\. To add one prompt: text2img enqueue --prompt "fox"\. \[not_found\]/],
    [['a $HOME; "x"'], 2, /To add one prompt: text2img enqueue --prompt "a red circle"\. \[not_found\]/],
    [['prompts.jsonl'], 2, /"prompts\.jsonl" does not exist\. \[not_found\]/],
    [['.'], 2, /"\." is a folder; give a file of prompts, or - for standard input\. \[unreadable_file\]/],
    [[], 2, /or one prompt: text2img enqueue --prompt "a red circle"\./],
    [['empty.txt'], 0, /WARNING nothing was added: there is no prompt in the input {2}input=.*empty\.txt/],
  ] as const) {
    const result = await runCli({ args: ['enqueue', ...args], cwd: folder });
    assert.equal(result.code, code, result.stderr);
    assert.match(result.stderr, says);
    assert.equal(result.stdout, '');
  }
});

test('the advice of doctor for a model that is not there names the model, as it is typed', async () => {
  const folder = temporaryFolder();
  const { code, stdout } = await runCli({
    args: ['doctor', '--model', 'owner/name@v1', '--offline'],
    cwd: folder,
    environment: { HF_HOME: folder },
  });
  assert.equal(code, 5);
  assert.match(stdout, /→ download it with "text2img models pull owner\/name@v1", or name another one with --model\n/);
});
