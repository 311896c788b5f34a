/** compose.yaml, the Dockerfile and the recipe for TLS agree with the program: commands, port, probes and timeouts. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseArguments } from '../../src/cli/program.ts';
import { loadConfig } from '../../src/config/load.ts';
import { OPTIONS } from '../../src/config/options.ts';

const read = (name: string): string => readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8');
const compose = read('compose.yaml');
const containers = read('docs/containers.md');

/** The lines of each service, by its name: two spaces before the name, more before its own lines. */
const services = new Map(
  (compose.split(/^services:\n|^volumes:\n/m)[1] ?? '')
    .split(/\n(?= {2}\w+:\n)/)
    .map((text) => [/^ {2}(\w+):/.exec(text)?.[1] ?? '', text]),
);

/** `[serve, --host=0.0.0.0]`: none of these words has a comma or a quotation mark. */
function commandOf(service: string): readonly string[] {
  const [, words = ''] = /^ {4}command: \[(.*)\]$/m.exec(services.get(service) ?? '') ?? [];
  return words.split(',').map((word) => word.trim());
}

const environment = Object.fromEntries(
  [...(services.get('enqueue') ?? '').matchAll(/^ {6}([A-Z_]+): (\S+)$/gm)].map(([, name = '', value = '']) => [
    name,
    value,
  ]),
);

test('compose.yaml runs commands that the program takes', async () => {
  assert.deepEqual(Object.keys(environment), ['MONGO_URI', 'GCS_BUCKET', 'STORAGE_EMULATOR_HOST']);
  for (const [service, command] of [
    ['enqueue', 'enqueue'],
    ['worker', 'run'],
    ['server', 'serve'],
  ] as const) {
    const invocation = await parseArguments([...commandOf(service)]);
    assert.ok(typeof invocation === 'object', service);
    assert.equal(invocation.command, command);
    await loadConfig({ command, flags: invocation.flags, environment });
  }
});

test('the server of compose.yaml, which asks for no keys, is reached from this machine alone', () => {
  const server = services.get('server') ?? '';
  assert.ok(commandOf('server').includes('--no-auth'));
  assert.deepEqual(/^ {4}ports: \['([\d.]+):(\d+):(\d+)'\]$/m.exec(server)?.slice(1), ['127.0.0.1', PORT, PORT]);
  for (const [name, text] of services) if (name !== 'server') assert.doesNotMatch(text, /^ {4}ports:/m, name);
});

const PORT = String(OPTIONS.port.default);

test('the image exposes one port, that of the server', () => {
  assert.deepEqual(read('Dockerfile').match(/^EXPOSE .*$/gm), [`EXPOSE ${PORT}`]);
});

test('the probes of docs/containers.md ask the server’s port', () => {
  const probes = [...containers.matchAll(/httpGet: \{ path: (\S+), port: (\d+) \}/g)].map((probe) => probe.slice(1));
  assert.deepEqual(probes, [
    ['/livez', PORT],
    ['/readyz', PORT],
  ]);
});

const recipe = /```nginx\n([\s\S]*?)```/.exec(containers)?.[1] ?? '';
const seconds = (name: string): number => Number(new RegExp(`\\b${name} (\\d+)s;`).exec(recipe)?.[1]);

test('the proxy of docs/containers.md waits longer than a request, and closes idle connections first', () => {
  assert.ok(seconds('proxy_read_timeout') > Number(OPTIONS.waitTimeout.default));
  assert.ok(seconds('keepalive_timeout') < 75);
  assert.match(recipe, /^ +proxy_buffering off;$/m);
  assert.ok(recipe.includes(`server 127.0.0.1:${PORT};`));
});

const hasNginx = spawnSync('nginx', ['-v']).status === 0;
const skip = hasNginx
  ? false
  : 'NOT RUN: there is no nginx here; that it takes the recipe of docs/containers.md was not tested.';

test('nginx takes the recipe of docs/containers.md', { skip }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'text2img-nginx-'));
  try {
    const [key, crt] = ['images.example.key', 'images.example.crt'].map((name) => join(folder, name));
    const subject = 'req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=images.example'.split(' ');
    const made = spawnSync('openssl', subject.concat(['-keyout', key ?? '', '-out', crt ?? '']));
    assert.equal(made.status, 0, String(made.stderr));
    const http = recipe.replaceAll('/etc/nginx/', `${folder}/`);
    writeFileSync(join(folder, 'nginx.conf'), `pid ${folder}/pid;\nevents {}\nhttp {\n${http}\n}\n`);
    const checked = spawnSync('nginx', ['-t', '-p', folder, '-c', join(folder, 'nginx.conf')], { encoding: 'utf8' });
    assert.equal(checked.status, 0, checked.stderr);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
