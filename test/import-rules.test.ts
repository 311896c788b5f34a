/**
 * The import table of oxlint.config.ts is law. From the table itself: every folder and root file has a row, each row and each library's door is
 * broken once in a copy and reported there, circles count even where only types go round, and a permission that nobody uses is a finding.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { after, test } from 'node:test';
import { DOORS, ENGINE_PARENT, FOLDERS } from '../oxlint.config.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const source = join(root, 'src');
const entries = (await readdir(source, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
const files = entries.map((entry) => join(entry.parentPath, entry.name).slice(source.length + 1)).toSorted();
const rows = Object.entries(FOLDERS);

interface Breach {
  readonly file: string;
  readonly text: string;
}

/** Some file of the folder, for the breach to import. */
function fileOf(row: string): string {
  return row.endsWith('.ts') ? row : (files.find((file) => file.startsWith(`${row}/`)) ?? `${row}/none.ts`);
}

/** What a row does not list, imported from a new file of its folder. */
function rowBreaches(): Breach[] {
  return rows
    .filter(([row, { imports }]) => !row.endsWith('.ts') && !imports.includes('*'))
    .flatMap(([row, { imports }]) =>
      rows
        .map(([other]) => other)
        .filter((other) => other !== row && !imports.includes(other))
        .map((other, index) => ({ other, index, target: fileOf(other) }))
        .filter(({ target }) => !imports.includes(target))
        .map(({ target, index }) => ({
          file: `src/${row}/breach-${index}.ts`,
          text: `import { x } from '../${target}';\nexport const y: typeof x = x;\n`,
        })),
    );
}

/** Each library, imported from each folder that is not behind its door. */
function doorBreaches(): Breach[] {
  return Object.entries(DOORS).flatMap(([library, doors], number) =>
    rows
      .map(([row]) => row)
      .filter((row) => !row.endsWith('.ts') && !doors.some((door) => door.startsWith(`src/${row}/`)))
      .map((row) => ({
        file: `src/${row}/breach-door-${number}.ts`,
        text: `import * as library from '${library}';\nexport const y = library;\n`,
      })),
  );
}

const OTHER_BREACHES: readonly Breach[] = [
  {
    file: 'src/schedulers/breach-io.ts',
    text: "import { readFileSync } from 'node:fs';\nexport const y = readFileSync;\n",
  },
  { file: 'src/worker/breach-environment.ts', text: "export const y = process.env['HOME'];\n" },
  { file: 'src/job/breach-exit.ts', text: 'export function end(): void {\n  process.exit(1);\n}\n' },
  { file: 'src/job/breach-default.ts', text: 'export default 1;\n' },
  { file: 'src/version.ts', text: "import { x } from './cli/main.ts';\nexport const y: typeof x = x;\n" },
  // Behind no door, though a folder below is.
  {
    file: 'src/runtime/breach-library.ts',
    text: "import * as library from 'onnxruntime-node';\nexport const y = library;\n",
  },
  // A circle of types only.
  { file: 'src/lib/breach-a.ts', text: "import type { B } from './breach-b.ts';\nexport type A = B | 1;\n" },
  { file: 'src/lib/breach-b.ts', text: "import type { A } from './breach-a.ts';\nexport type B = A | 2;\n" },
  ...['../onnx/graph.ts', '../runtime/contract.ts', './child/load-model.ts'].map((path, index) => ({
    file: ENGINE_PARENT.replace('*', `breach-parent-${index}`),
    text: `import { x } from '${path}';\nexport const y: typeof x = x;\n`,
  })),
];

const place = await mkdtemp(join(tmpdir(), 'text2img-lint-'));
after(() => rm(place, { recursive: true, force: true }));

test('every folder and root file of src/ has a row in the import table, and every row is there', () => {
  const tops = files.map((file) => file.split('/')[0] ?? '');
  assert.deepEqual(new Set(tops), new Set(Object.keys(FOLDERS)), 'correct FOLDERS in oxlint.config.ts');
});

test('each row, each library’s door and each other rule is reported where it is broken', async () => {
  const breaches = [...rowBreaches(), ...doorBreaches(), ...OTHER_BREACHES];
  const broken = new Set(breaches.map(({ file }) => file.split('/')[1]));
  for (const [row, { imports }] of rows)
    if (!imports.includes('*')) assert.ok(broken.has(row), `a breach of ${row} is tried`);
  await symlink(join(root, 'node_modules'), join(place, 'node_modules'));
  for (const file of ['oxlint.config.ts', 'tsconfig.json', 'package.json'])
    await copyFile(join(root, file), join(place, file));
  for (const { file, text } of breaches) {
    await mkdir(dirname(join(place, file)), { recursive: true });
    await writeFile(join(place, file), text);
  }
  const lint = spawnSync(join(root, 'node_modules/.bin/oxlint'), ['--format=unix'], {
    cwd: place,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  const reported = new Set(
    [...lint.stdout.matchAll(/^(?:\.\/)?(src\/\S+?\.ts):\d+:\d+: .*\[Error/gm)].map((match) => match[1]),
  );
  const missed = breaches.filter(({ file }) => !reported.has(file));
  assert.deepEqual(
    missed.map(({ file, text }) => `${file}: ${text.split('\n')[0]}`),
    [],
    `oxlint does not report these breaches: look at the rules that oxlint.config.ts makes of its tables. ${lint.stderr}`,
  );
});

/** The files of `src/` that a file imports, types included. */
async function importsOf(file: string): Promise<string[]> {
  const text = await readFile(join(source, file), 'utf8');
  return [...text.matchAll(/(?:from|import)\s*\(?\s*'(\.{1,2}\/[^']+)'/g)].map((match) =>
    join(dirname(file), match[1] ?? ''),
  );
}

test('every permission of the table is used by somebody', async () => {
  const used = new Map<string, Set<string>>();
  for (const file of files) {
    const [top = ''] = file.split('/');
    const targets = used.get(top) ?? new Set<string>();
    for (const target of await importsOf(file)) targets.add(target);
    used.set(top, targets);
  }
  const unused = rows.flatMap(([row, { imports }]) =>
    imports
      // Open to all above them.
      .filter((permission) => !['*', 'lib', 'errors', 'observability'].includes(permission))
      .filter((permission) =>
        [...(used.get(row) ?? [])].every((target) => target !== permission && !target.startsWith(`${permission}/`)),
      )
      .map((permission) => `${row} → ${permission}`),
  );
  assert.deepEqual(unused, [], 'take these out of FOLDERS in oxlint.config.ts');
});

test('every door of a library is used', async () => {
  const texts = new Map<string, string>();
  for (const file of files) texts.set(`src/${file}`, await readFile(join(source, file), 'utf8'));
  const unused = Object.entries(DOORS).flatMap(([library, doors]) =>
    doors
      .filter((door) => door.startsWith('src/'))
      .filter((door) =>
        [...texts].every(
          ([file, text]) => !(file.startsWith(door.replace('**', '')) && text.includes(`from '${library}`)),
        ),
      )
      .map((door) => `${library} → ${door}`),
  );
  assert.deepEqual(unused, [], 'take these out of DOORS in oxlint.config.ts');
});
