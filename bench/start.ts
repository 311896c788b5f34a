/**
 * `npm run bench:start`: what it costs to start each command, from source and as packed, beside a bare `node`.
 *
 * Processor time (user and system) of the program's own process, median of 7, all commands in turns so that a busy machine hits them alike. Compare the
 * ratios: the milliseconds are this machine's.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Loaded, loadedBy } from '../test/e2e/packages-of.ts';
import { cleanEnvironment, launcher, root } from '../test/e2e/run-cli.ts';

const RUNS = 7;
const COMMANDS: readonly (readonly string[])[] = [
  ['--version'],
  ['health', '--heartbeat-file', 'beat'],
  ['--help'],
  ['jobs', 'list'],
  ['webhooks', 'list'],
  ['enqueue', '--prompt', 'a'],
  ['models', 'list'],
];

const place = mkdtempSync(join(tmpdir(), 'text2img-start-'));
process.once('exit', () => rmSync(place, { recursive: true, force: true }));
writeFileSync(join(place, 'beat'), '');

/** The clone compiled, as the package has it, with the clone's packages. */
function pack(): string {
  const folder = join(place, 'packed');
  const tsc = join(root, 'node_modules/.bin/tsc');
  const built = spawnSync(tsc, ['-p', 'tsconfig.build.json', '--outDir', join(folder, 'dist')], {
    cwd: root,
    encoding: 'utf8',
  });
  if (built.status !== 0) throw new Error(built.stdout + built.stderr);
  for (const name of ['bin', 'package.json', 'models'])
    cpSync(join(root, name), join(folder, name), { recursive: true });
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  return join(folder, 'bin', 'text2img.js');
}

/** Writes its own processor time behind everything else when it ends. */
const METER = join(place, 'meter.cjs');
writeFileSync(
  METER,
  `process.on('exit', () => {
  const { user, system } = process.cpuUsage();
  require('node:fs').writeFileSync(process.env.TEXT2IMG_TEST_METER, String((user + system) / 1000));
});
`,
);

function processorMs(args: readonly string[]): number {
  const list = join(place, 'ms');
  spawnSync(process.execPath, ['--require', METER, ...args], {
    cwd: place,
    stdio: 'ignore',
    env: cleanEnvironment({ TEXT2IMG_TEST_METER: list, HF_HOME: join(place, 'hub') }),
  });
  return Number(readFileSync(list, 'utf8'));
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

function row(cells: readonly string[]): string {
  return cells.map((cell, index) => (index === 0 ? cell.padEnd(34) : cell.padStart(11))).join('');
}

const launchers = [
  ['source', launcher],
  ['packed', pack()],
] as const;
const starts = launchers.flatMap(([kind, path]) => COMMANDS.map((args) => ({ kind, path, args })));
const bare: number[] = [];
const times = starts.map((): number[] => []);
// One start of each first: a clone keeps what Node compiled.
for (const { path, args } of starts) processorMs([path, ...args]);
for (let run = 0; run < RUNS; run++) {
  bare.push(processorMs(['-e', '0']));
  for (const [index, { path, args }] of starts.entries()) times[index]?.push(processorMs([path, ...args]));
}

const bareMs = median(bare);
console.log(row(['command', 'modules', 'packages', 'CPU ms', '× node']));
console.log(row(['node -e 0', '', '', bareMs.toFixed(0), '1.0']));
for (const [index, { kind, path, args }] of starts.entries()) {
  const loaded: Loaded = loadedBy({ args, launcher: path, cwd: place, environment: { HF_HOME: join(place, 'hub') } });
  const ms = median(times[index] ?? []);
  const name = `${kind}: ${args.join(' ')}`;
  console.log(
    row([name, String(loaded.modules), String(loaded.packages.length), ms.toFixed(0), (ms / bareMs).toFixed(1)]),
  );
}
