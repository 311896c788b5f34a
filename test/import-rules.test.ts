/** The import rules of oxlint.config.ts really report a breach: each is broken once, in a folder beside the project. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { after, test } from 'node:test';

const root = fileURLToPath(new URL('..', import.meta.url));

/** [file that does not exist otherwise, its breach] */
const BREACHES = [
  ['src/queue/breach-a.ts', "import { x } from '../storage/image-store.ts';\nexport const y: typeof x = x;\n"],
  ['src/storage/breach-b.ts', "import { x } from '../queue/prompt-queue.ts';\nexport const y: typeof x = x;\n"],
  ['src/worker/breach-c.ts', "import { x } from '../cli/main.ts';\nexport const y: typeof x = x;\n"],
  [
    'src/worker/breach-d.ts',
    "import { x } from '../queue/sqlite/sqlite-prompt-queue.ts';\nexport const y: typeof x = x;\n",
  ],
  ['src/engine/breach-e.ts', "import ort from 'onnxruntime-node';\nexport const y = ort;\n"],
  ['src/diffusion/breach-f.ts', "import { readFileSync } from 'node:fs';\nexport const y = readFileSync;\n"],
  ['src/worker/breach-g.ts', "import { DatabaseSync } from 'node:sqlite';\nexport const y = DatabaseSync;\n"],
  ['src/worker/breach-h.ts', "export const y = process.env['HOME'];\n"],
  ['src/job/breach-i.ts', 'export function end(): void {\n  process.exit(1);\n}\n'],
  ['src/job/breach-j.ts', 'export default 1;\n'],
] as const;

const place = await mkdtemp(join(tmpdir(), 'text2img-lint-'));
after(() => rm(place, { recursive: true, force: true }));

test('every breach of the map’s import rules is a lint error in the file that commits it', async () => {
  await symlink(join(root, 'node_modules'), join(place, 'node_modules'));
  for (const file of ['oxlint.config.ts', 'tsconfig.json', 'package.json'])
    await copyFile(join(root, file), join(place, file));
  for (const [file, text] of BREACHES) {
    await mkdir(dirname(join(place, file)), { recursive: true });
    await writeFile(join(place, file), text);
  }
  const lint = spawnSync(join(root, 'node_modules/.bin/oxlint'), ['--format=unix'], { cwd: place, encoding: 'utf8' });
  for (const [file] of BREACHES) {
    assert.match(
      lint.stdout,
      new RegExp(`${file}:\\d+:\\d+: .*\\[Error`),
      `${file} is reported:\n${lint.stdout}${lint.stderr}`,
    );
  }
});
