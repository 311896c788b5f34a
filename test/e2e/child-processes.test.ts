/** What the processes that read checkpoints and load ONNX Runtime are given, whom they call, and what they leave on the disk. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { runCli, temporaryFolder } from './run-cli.ts';

const SECRETS = {
  CALLBACK_URL: 'http://127.0.0.1:9/hook?token=zebra-1',
  TEXT2IMG_WEBHOOK_SECRET: `whsec_${randomBytes(32).toString('base64')}`,
  HF_TOKEN: 'hf_zebra2',
  HUGGING_FACE_HUB_TOKEN: 'hf_zebra3',
  GOOGLE_APPLICATION_CREDENTIALS: '/zebra-4.json',
  AWS_SECRET_ACCESS_KEY: 'zebra-5',
  NODE_AUTH_TOKEN: 'zebra-6',
  CUDA_REGISTRY_TOKEN: 'zebra-7',
  HTTPS_PROXY: 'http://user:zebra-8@127.0.0.1:9',
  // Nothing about its name says that it is one: only what is on the list is handed on.
  NOBODY_KNOWS_THIS: 'zebra-9',
};

interface Started {
  readonly arguments: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

/** Every Node process writes down what it was started with; a driver's tool that is asked does the same. */
function spyOnStarts(folder: string): { readonly environment: Record<string, string>; readonly seen: () => Started[] } {
  const preload = join(folder, 'spy.cjs');
  const starts = join(folder, 'starts');
  mkdirSync(starts);
  writeFileSync(
    preload,
    `const fs = require('node:fs');
// A thread runs this as well.
const thread = require('node:worker_threads').threadId;
fs.writeFileSync(${JSON.stringify(starts)} + '/' + process.pid + '-' + thread + '.json', JSON.stringify({ arguments: process.argv, environment: process.env }));`,
  );
  const tools = join(folder, 'tools');
  mkdirSync(tools);
  const tool = join(tools, 'nvidia-smi');
  writeFileSync(
    tool,
    `#!${process.execPath}
require('node:fs').writeFileSync(${JSON.stringify(`${starts}/nvidia-smi.json`)}, JSON.stringify({ arguments: ['nvidia-smi'], environment: process.env }));
process.exit(1);`,
  );
  chmodSync(tool, 0o755);
  return {
    environment: { NODE_OPTIONS: `--require=${preload}`, PATH: `${tools}:${process.env['PATH'] ?? ''}` },
    seen: () => readdirSync(starts).map((name) => JSON.parse(readFileSync(join(starts, name), 'utf8')) as Started),
  };
}

const skipOnWindows = process.platform === 'win32' ? 'NOT RUN: the spy is a script with a shebang' : false;

for (const [title, args, expected] of [
  [
    'the engine',
    ['generate', '--prompt', 'a', '--width', '64', '--height', '64', '--num-inference-steps', '1', '--output', 'x.png'],
    ['engine-child'],
  ],
  ['what doctor tries', ['doctor'], ['try-device-child', 'nvidia-smi']],
] as const) {
  test(`${title} is given no secret, and is told not to send telemetry`, { skip: skipOnWindows }, async () => {
    const folder = temporaryFolder();
    const spy = spyOnStarts(folder);
    await runCli({ args, cwd: folder, environment: { ...SECRETS, ...spy.environment, OMP_NUM_THREADS: '1' } });
    const children = spy
      .seen()
      .filter((one) => one.arguments.some((word) => expected.some((name) => word.includes(name))));
    for (const name of expected)
      assert.ok(
        children.some((one) => one.arguments.some((word) => word.includes(name))),
        `${name} was started`,
      );
    for (const { arguments: words, environment } of children) {
      const given = Object.entries(environment);
      assert.deepEqual(
        given.filter(([, value]) => value.includes('zebra') || Object.values(SECRETS).includes(value)),
        [],
        words.join(' '),
      );
      assert.equal(environment['ORT_DISABLE_TELEMETRY'], '1');
      assert.equal(environment['OMP_NUM_THREADS'], '1');
      assert.ok(environment['PATH']?.startsWith(folder), 'what it needs is there');
    }
  });
}

/** Writes down every name that a process asks the resolver for. */
function buildShim(folder: string): { readonly library: string; readonly names: () => string[] } {
  const list = join(folder, 'names');
  const source = join(folder, 'shim.c');
  const library = join(folder, 'shim.so');
  writeFileSync(list, '');
  writeFileSync(
    source,
    `#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <stdio.h>
typedef int (*lookup)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **found) {
  FILE *file = fopen("${list}", "a");
  if (file) { fprintf(file, "%s\\n", node ? node : "-"); fclose(file); }
  lookup real = (lookup)dlsym(RTLD_NEXT, "getaddrinfo");
  return real(node, service, hints, found);
}
`,
  );
  execFileSync('gcc', ['-shared', '-fPIC', '-o', library, source, '-ldl']);
  return {
    library,
    names: () =>
      readFileSync(list, 'utf8')
        .split('\n')
        .filter((name) => name !== ''),
  };
}

function hasGcc(): boolean {
  try {
    execFileSync('gcc', ['--version'], { stdio: 'ignore' });
    return process.platform === 'linux';
  } catch {
    return false;
  }
}

function filesUnder(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

test('a picture is drawn without looking up any name, and nothing is left in the home and temporary folders', {
  skip: hasGcc() ? false : 'NOT RUN: whom the program calls; it takes Linux and gcc to see that',
}, async () => {
  const folder = temporaryFolder();
  const [home, temporary] = [join(folder, 'home'), join(folder, 'tmp')];
  for (const path of [home, temporary]) mkdirSync(path);
  const { library, names } = buildShim(folder);
  // The shim sees what there is to see.
  execFileSync(process.execPath, ['-e', 'require("node:dns").lookup("seen.invalid", () => {})'], {
    env: { ...process.env, LD_PRELOAD: library },
  });
  assert.deepEqual(names(), ['seen.invalid']);
  const { code, stderr } = await runCli({
    args: [
      'generate',
      '--prompt',
      'a',
      '--width',
      '64',
      '--height',
      '64',
      '--num-inference-steps',
      '20',
      '--output',
      'x.png',
    ],
    cwd: folder,
    // CI would silence what this is about.
    environment: { HOME: home, TMPDIR: temporary, XDG_CACHE_HOME: join(home, '.cache'), LD_PRELOAD: library, CI: '' },
  });
  assert.equal(code, 0, stderr);
  assert.deepEqual(names(), ['seen.invalid']);
  assert.deepEqual([...filesUnder(home), ...filesUnder(temporary)], []);
});
