/** Bad input on the command line: a clear sentence, a stable code, the documented exit code; and nothing is drawn or added. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { root, runCli, temporaryFolder } from './run-cli.ts';

const folder = temporaryFolder();
const output = join(folder, 'x.png');

interface Case {
  readonly title: string;
  readonly args: readonly string[];
  readonly exitCode: number;
  readonly code: string;
  readonly says: RegExp;
  readonly stdin?: string;
  readonly environment?: Readonly<Record<string, string>>;
}

const generate = ['generate', '--prompt', 'a red circle', '--output', output];
const noModel = join(folder, 'no-model');
mkdirSync(join(folder, 'empty'));
writeFileSync(join(folder, 'text.png'), 'this is text');

const cases: readonly Case[] = [
  {
    title: 'width 100',
    args: [...generate, '--width', '100'],
    exitCode: 3,
    code: 'invalid_parameter',
    says: /--width "100".*divisible by 8/,
  },
  {
    title: '0 steps',
    args: [...generate, '--num-inference-steps', '0'],
    exitCode: 3,
    code: 'invalid_parameter',
    says: /"0".*at least 1/,
  },
  {
    title: 'NaN guidance',
    args: [...generate, '--guidance-scale', 'NaN'],
    exitCode: 3,
    code: 'invalid_parameter',
    says: /"NaN".*a number/,
  },
  {
    title: 'unknown scheduler',
    args: [...generate, '--scheduler', 'dpm++'],
    exitCode: 3,
    code: 'unknown_scheduler',
    says: /"dpm\+\+".*ddim/i,
  },
  {
    title: 'a prompt of 1 MB',
    args: ['enqueue', '-', '--data-dir', folder],
    stdin: JSON.stringify({ text: 'x'.repeat(1_000_000) }),
    exitCode: 3,
    code: 'prompt_too_large',
    says: /Line 1 .*65,?536/,
  },
  { title: 'a negative seed', args: [...generate, '--seed=-2'], exitCode: 3, code: 'invalid_parameter', says: /"-2"/ },
  {
    title: 'a missing model folder',
    args: [...generate, '--model', noModel],
    exitCode: 4,
    code: 'model_not_found',
    says: /no-model" does not exist/,
  },
  {
    title: 'a hub id that nobody has fetched, offline',
    args: [...generate, '--model', 'nobody/no-such-model', '--offline'],
    exitCode: 4,
    code: 'model_not_found',
    says: /not in the cache .*--offline forbids/,
  },
  {
    title: 'an empty model folder',
    args: [...generate, '--model', join(folder, 'empty')],
    exitCode: 4,
    code: 'invalid_model_index',
    says: /model_index\.json/,
  },
  {
    title: 'a flag of another tool',
    args: ['generate', 'x', '--n-iter', '4'],
    exitCode: 2,
    code: 'unknown_option',
    says: /"--n-iter".*Did you mean --num-images\?/,
  },
  { title: 'an unknown flag', args: ['--nonsense'], exitCode: 2, code: 'unknown_option', says: /--nonsense/ },
  { title: 'an unknown command', args: ['nonsense'], exitCode: 2, code: 'unknown_option', says: /./ },
  {
    title: 'options of jobs without an action',
    args: ['jobs', '--limit', '3'],
    exitCode: 2,
    code: 'unknown_option',
    says: /"text2img jobs list", .* or "text2img jobs cancel"/,
  },
  { title: 'an empty prompt', args: ['generate', ''], exitCode: 3, code: 'invalid_parameter', says: /not empty/ },
  {
    title: 'an empty prompt for the queue',
    args: ['enqueue', '--prompt', ' ', '--data-dir', folder],
    exitCode: 3,
    code: 'invalid_parameter',
    says: /not empty/,
  },
  {
    title: 'a JPEG as output',
    args: ['generate', 'a red circle', '-o', join(folder, 'x.jpg')],
    exitCode: 2,
    code: 'invalid_option',
    says: /ends with \.jpg.*x\.png/,
  },
  {
    title: 'a file that is to be kept',
    args: ['generate', 'a red circle', '-o', join(folder, 'text.png'), '--no-clobber'],
    exitCode: 2,
    code: 'invalid_option',
    says: /text\.png" exists/,
  },
  {
    title: 'a value that is nearly one of a list',
    args: ['jobs', 'list', '--status', 'pendin'],
    exitCode: 2,
    code: 'invalid_option',
    says: /Did you mean "pending"\? It must be pending, processing, completed or error\./,
  },
  {
    title: 'a sampler that nobody has',
    args: ['generate', 'x', '--sampler', 'DPM++ 2M Karas'],
    exitCode: 3,
    code: 'unknown_scheduler',
    says: /Did you mean "DPM\+\+ 2M Karras"\?/,
  },
  {
    title: 'a bad value of a worker option',
    args: ['run', '--lease-seconds', 'soon'],
    exitCode: 2,
    code: 'invalid_option',
    says: /--lease-seconds "soon"/,
  },
  {
    title: 'a bad variable',
    args: ['run'],
    environment: { BATCH_SIZE: '0' },
    exitCode: 2,
    code: 'invalid_option',
    says: /^text2img: BATCH_SIZE "0"/m,
  },
  {
    title: 'a bucket without a database',
    args: ['run'],
    environment: { GCS_BUCKET: 'pictures' },
    exitCode: 2,
    code: 'conflicting_options',
    says: /needs --mongo-uri/,
  },
  {
    title: 'no prompt',
    args: ['generate'],
    exitCode: 2,
    code: 'conflicting_options',
    says: /or a prompt: text2img generate "a red circle"\./,
  },
  {
    title: 'nothing to enqueue',
    args: ['enqueue', '--data-dir', folder],
    exitCode: 2,
    code: 'conflicting_options',
    says: /or one prompt: text2img enqueue --prompt "a red circle"\./,
  },
  {
    title: 'an output in a missing folder',
    args: ['generate', '--prompt', 'x', '--output', join(folder, 'no', 'x.png')],
    exitCode: 2,
    code: 'not_found',
    says: /folder of the output/,
  },
  {
    title: 'an output that is a device',
    args: ['generate', '--prompt', 'x', '--output', '/dev/null'],
    exitCode: 2,
    code: 'invalid_option',
    says: /plain file is needed/,
  },
  {
    title: '--from a missing file',
    args: ['generate', '--from', join(folder, 'none.png')],
    exitCode: 2,
    code: 'not_found',
    says: /none\.png" does not exist/,
  },
  {
    title: '--from a file that is no PNG',
    args: ['generate', '--from', join(folder, 'text.png')],
    exitCode: 2,
    code: 'unreadable_file',
    says: /not a PNG/,
  },
  {
    title: 'a missing file of prompts',
    args: ['enqueue', join(folder, 'none.jsonl'), '--data-dir', folder],
    exitCode: 2,
    code: 'not_found',
    says: /none\.jsonl" does not exist/,
  },
  {
    title: 'a line that is not JSON',
    args: ['enqueue', '-', '--data-dir', folder],
    stdin: '{"text": "a"}\n\n{"text": ',
    exitCode: 3,
    code: 'invalid_document',
    says: /Line 3 of standard input is not JSON.*Nothing was added/,
  },
  {
    title: 'a line with a bad value',
    args: ['enqueue', '-', '--data-dir', folder],
    stdin: '{"text": "a"}\n{"text": "b", "width": 100}',
    exitCode: 3,
    code: 'invalid_parameter',
    says: /Line 2 of standard input.*100.*Nothing was added/,
  },
  {
    title: 'a line without a text',
    args: ['enqueue', '-', '--data-dir', folder],
    stdin: '{"prompt": "a"}',
    exitCode: 3,
    code: 'invalid_prompt',
    says: /Line 1.*text/,
  },
  {
    title: 'a job that does not exist',
    args: ['jobs', 'show', 'nobody', '--data-dir', folder],
    exitCode: 2,
    code: 'not_found',
    says: /no job "nobody"/,
  },
];

for (const { title, args, exitCode, code, says, stdin, environment } of cases) {
  test(`${title} ends with ${exitCode} and ${code}`, async () => {
    const result = await runCli({
      args,
      ...(stdin === undefined ? {} : { stdin }),
      ...(environment === undefined ? {} : { environment }),
    });
    assert.equal(result.code, exitCode, result.stderr);
    assert.ok(result.stderr.includes(`[${code}]`), result.stderr);
    assert.match(result.stderr, says);
    assert.equal(result.stdout, '');
    assert.doesNotMatch(result.stderr, /\n +at |hunter2/, 'no stack trace and no password');
  });
}

test('after all that nothing was drawn and nothing added', async () => {
  assert.ok(!readdirSync(folder).some((name) => name.endsWith('.tmp') || name === 'x.png'));
  const { stderr, stdout } = await runCli({ args: ['jobs', 'list', '--data-dir', folder] });
  assert.equal(stdout, '');
  assert.match(stderr, /0 pending, 0 processing, 0 completed, 0 in error/);
});

test('with --json an error is one JSON line on standard output', async () => {
  const { code, stdout } = await runCli({ args: [...generate, '--json', '--width', '100'] });
  assert.equal(code, 3);
  assert.equal((JSON.parse(stdout) as { error: { code: string } }).error.code, 'invalid_parameter');
});

test('help has examples and exit codes, and ends with 0', async () => {
  const help = await runCli({ args: ['--help'] });
  assert.equal(help.code, 0);
  assert.match(help.stdout, /generate[\s\S]*enqueue[\s\S]*Exit codes:/);
  const generateHelp = await runCli({ args: ['generate', '--help'] });
  assert.equal(generateHelp.code, 0);
  assert.match(generateHelp.stdout, /--num-inference-steps <n>[\s\S]*NUM_INFERENCE_STEPS[\s\S]*Examples:/);
});

test('a group of commands without one of them prints its own help, and exits with 2 because nothing was done', async () => {
  for (const group of ['jobs', 'webhooks', 'models', 'setup']) {
    const { code, stdout, stderr } = await runCli({ args: [group], cwd: folder });
    assert.equal(code, 2, stderr);
    assert.equal(stdout, '');
    assert.match(stderr, new RegExp(`^Usage: text2img ${group} [\\s\\S]*Examples:`));
  }
});

/** Mounts a tmpfs, or says why not. */
function mountTmpfs(name: string, options: string): string | undefined {
  const place = join(folder, name);
  mkdirSync(place);
  const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'text2img-test', place], { stdio: 'ignore' });
  if (status !== 0) return undefined;
  after(() => spawnSync('umount', [place], { stdio: 'ignore' }));
  return place;
}

const readOnly = mountTmpfs('read-only', 'ro,size=64k');
const full = mountTmpfs('full', 'size=64k');
const skip =
  readOnly !== undefined && full !== undefined
    ? false
    : 'NOT CHECKED: read-only folders and full disks (no tmpfs can be mounted here; run as root outside a sandbox)';

test('a read-only output folder is found before the drawing', { skip }, async () => {
  const { code, stderr } = await runCli({
    args: ['generate', '--prompt', 'x', '--output', join(readOnly ?? '', 'x.png')],
  });
  assert.equal(code, 5, stderr);
  assert.match(stderr, /cannot be written.*\[store_unwritable\]/);
});

test('a full disk is found before the drawing, and nothing is left on it', { skip }, async () => {
  writeFileSync(join(full ?? '', 'ballast'), new Uint8Array(64 * 1024));
  const { code, stderr } = await runCli({ args: ['generate', '--prompt', 'x', '--output', join(full ?? '', 'x.png')] });
  assert.equal(code, 5, stderr);
  assert.match(stderr, /No space is left.*\[disk_full\]/);
  assert.deepEqual(readdirSync(full ?? ''), ['ballast']);
});

for (const [title, place] of [
  ['read-only', readOnly],
  ['full', full],
] as const) {
  test(`a data folder on a ${title} disk is an infrastructure error, not a bug`, { skip }, async () => {
    const { code, stderr } = await runCli({
      args: ['enqueue', '--prompt', 'x', '--data-dir', join(place ?? '', 'data')],
    });
    assert.equal(code, 5, stderr);
    assert.match(
      stderr,
      title === 'full' ? /^text2img: No space .*\[disk_full\]$/m : /\[(?:queue_failed|store_unwritable)\]/,
    );
  });
}

test('a folder that the system neither has nor makes ends each command; Node’s own way to make it would never return', {
  skip: existsSync('/proc/self') ? false : 'NOT CHECKED: a file system that makes no folders (no /proc here)',
}, async () => {
  for (const [args, code] of [
    [['enqueue', '--prompt', 'x', '--data-dir', '/proc/none/data'], 5],
    [['run', '--data-dir', '/proc/none/data'], 5],
    [['generate', '--prompt', 'x', '--output', '/proc/none/'], 5],
    [['jobs', 'list', '--log-file', '/proc/none/log'], 2],
  ] as const) {
    const result = await runCli({ args });
    assert.equal(result.code, code, result.stderr);
    assert.match(result.stderr, /ENOENT.* '\/proc\/none.*\[\w+\]\n$/);
  }
});

const filling = mountTmpfs('filling', 'size=512k');

test('a disk that became full is disk_full in every command, and in one line', { skip }, async () => {
  const dataDir = join(filling ?? '', 'data');
  const ballast = join(filling ?? '', 'ballast');
  assert.equal((await runCli({ args: ['enqueue', '--prompt', 'x', '--data-dir', dataDir] })).code, 0);
  const { bavail, bsize } = statfsSync(filling ?? '');
  writeFileSync(ballast, new Uint8Array(bavail * bsize));
  for (const args of [
    ['jobs', 'list'],
    ['jobs', 'cancel', 'x'],
    ['enqueue', '--prompt', 'y'],
    ['webhooks', 'list'],
    ['run', '--model', join(root, 'models', 'demo'), '--log-level', 'warning'],
  ]) {
    const { code, stderr } = await runCli({ args: [...args, '--data-dir', dataDir] });
    assert.equal(code, 5, `${args.join(' ')}: ${stderr}`);
    assert.match(stderr, /^text2img: No space is left for the queue "[^"\n]*"[^\n]*\[disk_full\]\n$/, args.join(' '));
  }
});
