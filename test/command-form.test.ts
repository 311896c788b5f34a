/** The command has one form: pages, help and sentences write `text2img`, README says how to get it, and nothing names the package of somebody else. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';
import { printedHelp } from '../scripts/reading-matter.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
/** The code that writes it for those who typed it. */
const OWN_NAME = 'src/cli/own-name.ts:';
/** The only page that says what npm makes of the command, beside README. */
const DECISION = 'docs/decisions/packaging.md';
/** Beside these, everything in docs/, examples/ and src/. */
const FILES = [
  'README.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  'ARCHITECTURE.md',
  'Dockerfile',
  'compose.yaml',
  'package.json',
];

interface Line {
  /** File and line, or the command whose help it is. */
  readonly source: string;
  readonly text: string;
}

const linesOf = (source: string, text: string): readonly Line[] =>
  text.split('\n').map((line, index) => ({ source: `${source}:${index + 1}`, text: line }));

const filesIn = (folder: string): readonly string[] =>
  readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.(?:md|ts|py|jsonl)$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length));

const names = [...FILES, ...['docs', 'examples', 'src'].flatMap(filesIn)];
const lines = names.flatMap((name) => linesOf(name, readFileSync(join(root, name), 'utf8')));
const help = printedHelp().flatMap(({ source, text }) => linesOf(`${source} --help`, text));
const everything = [...lines, ...help];

const shown = (found: readonly Line[]): readonly string[] =>
  found.map(({ source, text }) => `${source}: ${text.trim()}`);

test('only README says "npx text2img", and each time where that works: in the clone, or in the folder of the package', () => {
  const found = everything.filter(({ text }) => /\bnpx\b.*\btext2img\b/.test(text));
  const inReadme = found.filter(({ source }) => source.startsWith('README.md:'));
  const elsewhere = found.filter(
    (line) => !inReadme.includes(line) && ![DECISION, OWN_NAME].some((name) => line.source.startsWith(name)),
  );
  assert.deepEqual(shown(elsewhere), []);
  assert.ok(inReadme.length > 0);
  for (const { source, text } of inReadme)
    assert.match(text, /\bclone\b.*`npx text2img`|`npx text2img`.*\bthere\b/, source);
});

test('README says in its first lines how to get the command, before it is typed', () => {
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  const typed = readme.search(/^text2img /m);
  for (const way of [
    /`npx text2img`/,
    /`npm link`/,
    /^npm run package$/m,
    /^npm install --global --ignore-scripts \.\/\S+\.tgz$/m,
  ]) {
    const at = readme.search(way);
    assert.ok(at > 0 && at < typed, String(way));
  }
  assert.ok(readme.slice(0, typed).split('\n').length < 40);
});

/** `npm install text2img`, `npx text2img@1`, `yarn dlx text2img`, but not our tarball and not the image of a container. */
const FOREIGN = /\b(?:np[mx]|pnpm|pnpx|yarn|bunx?)\b(?: +[\w-]+)* +(?:-\S+ +)*text2img(?:@\S*)?(?![\w-])/;

test('nothing tells a user to fetch the package "text2img", which is of somebody else', () => {
  for (const text of [
    'npm install -g text2img',
    'npx --yes text2img run',
    'npx text2img@latest',
    'yarn dlx text2img',
    'npm view text2img',
  ])
    assert.match(text, FOREIGN);
  for (const text of ['npm install ./text2img-service-0.2.0.tgz', 'docker run text2img', 'npm run text2img-x'])
    assert.doesNotMatch(text, FOREIGN);
  const found = everything.filter(({ text }) => FOREIGN.test(text.replaceAll(/(['`])npx text2img\1/g, '')));
  assert.deepEqual(shown(found.filter(({ source }) => !source.startsWith(DECISION))), []);
});

/** Its answers to wrong words are shown there. */
const WRONG_WORDS = 'docs/decisions/command-line.md';
/** Where a command is typed: at the begin of a line, in a code span, in quotes, or behind variables. */
const TYPED = /(?:^ {0,6}|[`"]|[A-Z_\d]+=\S+ )text2img ([a-z][a-z-]*)(?: ([a-z]+)(?=[ `"]|$))?/g;

test('every command that a page, the help or a sentence names exists', () => {
  const commands = printedHelp().map(({ source }) => source);
  const isGroup = (command: string): boolean => commands.some((one) => one.startsWith(`text2img ${command} `));
  const typed = everything.flatMap(({ source, text }) =>
    [...text.matchAll(TYPED)].map(([all, command = '', action]) => ({ source, all, command, action })),
  );
  assert.ok(typed.length > 100, `${typed.length} commands`);
  const wrong = typed.filter(
    ({ source, command, action }) =>
      !source.startsWith(WRONG_WORDS) &&
      (!commands.includes(`text2img ${command}`) ||
        (isGroup(command) && action !== undefined && !commands.includes(`text2img ${command} ${action}`))),
  );
  assert.deepEqual(wrong, []);
});
