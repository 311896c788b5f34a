/** Everything that users read before they run a job: README, docs/ and the help of every command, the latter from the program itself. */
import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { EXAMPLES } from '../src/cli/help-texts.ts';
import { buildProgram } from '../src/cli/program.ts';
import { COMMANDS } from '../src/config/options.ts';
import { type Passage, passagesOf } from './prose.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** @param pages paths from the project's root */
export async function pagePassages(pages: readonly string[]): Promise<readonly Passage[]> {
  const passages = await Promise.all(
    pages.map(async (page) => passagesOf(page, await readFile(`${ROOT}/${page}`, 'utf8'))),
  );
  return passages.flat();
}

/** README and the pages of docs/, without decisions/. */
export async function pagesForUsers(): Promise<readonly string[]> {
  return ['README.md', ...(await pagesIn('docs'))];
}

export async function pagesForDevelopers(): Promise<readonly string[]> {
  return ['ARCHITECTURE.md', 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md', ...(await pagesIn('docs/decisions'))];
}

async function pagesIn(folder: string): Promise<readonly string[]> {
  const names = await readdir(`${ROOT}/${folder}`);
  return names
    .filter((name) => name.endsWith('.md'))
    .toSorted()
    .map((name) => `${folder}/${name}`);
}

/** Descriptions of commands and options, and the meanings of the examples. */
export function helpPassages(): readonly Passage[] {
  const program = commandsOf(buildProgram(() => {}));
  const ofCommands = program.flatMap((command) => {
    const source = `${pathOf(command)} --help`;
    const options = command.options.filter(({ hidden }) => !hidden);
    return [
      { source, text: command.description() },
      ...options.map(({ description }) => ({ source, text: description.replace(/\[[A-Z_\d]+\]$/, '') })),
    ];
  });
  const examples = COMMANDS.flatMap((name) =>
    EXAMPLES[name].map(([, meaning]) => ({ source: `${name} --help`, text: meaning })),
  );
  // An option that five commands take is one text.
  return [...new Map([...ofCommands, ...examples].map((passage) => [passage.text, passage])).values()];
}

/** Sentences of errors, logs and advice: the texts of at least five words in the code of src/. */
export const sourcePassages = (): Promise<readonly Passage[]> => passagesOfCode(textsOf);

/** The comments of src/: a paragraph, a tag, or the comment behind a line each. Shapes and lists of names are no prose. */
export const commentPassages = (): Promise<readonly Passage[]> => passagesOfCode(commentsOf);

async function passagesOfCode(read: (file: string, code: string) => readonly Passage[]): Promise<readonly Passage[]> {
  const names = await readdir(`${ROOT}/src`, { recursive: true });
  const files = names.filter((name) => name.endsWith('.ts')).toSorted();
  const passages = await Promise.all(
    files.map(async (name) => read(`src/${name}`, await readFile(`${ROOT}/src/${name}`, 'utf8'))),
  );
  return passages.flat();
}

const COMMENT = /^\s*(?:\*|\/\/|\/\*)/;
const TEXT = /'((?:[^'\\]|\\.)*)'|`((?:[^`\\]|\\.)*)`/g;
/** A value in a text, which may hold one more pair of braces. */
const VALUE = /\$\{(?:[^{}]|\{[^{}]*\})*\}/g;

function textsOf(file: string, code: string): readonly Passage[] {
  return code.split('\n').flatMap((line, index) =>
    COMMENT.test(line)
      ? []
      : [...line.matchAll(TEXT)]
          .map(([, plain, template]) => (plain ?? template ?? '').replaceAll(VALUE, 'VALUE'))
          .filter((text) => text.split(' ').length >= 5)
          .map((text) => ({ source: `${file}:${index + 1}`, text })),
  );
}

const BLOCK = /^[ \t]*\/\*\*?([\s\S]*?)\*\//gm;
const LINES = /(?:^[ \t]*\/\/ .*\n)+/gm;
const BEHIND = /[;,{})] \/\/ (.*)$/gm;

function commentsOf(file: string, code: string): readonly Passage[] {
  const found = [
    ...Array.from(code.matchAll(BLOCK), ({ index, 1: text = '' }) => ({
      index,
      text: text.replaceAll(/^\s*\* ?/gm, ''),
    })),
    ...Array.from(code.matchAll(LINES), ({ index, 0: text }) => ({ index, text: text.replaceAll(/^\s*\/\/ /gm, '') })),
    ...Array.from(code.matchAll(BEHIND), ({ index, 1: text = '' }) => ({ index, text })),
  ];
  return found.flatMap(({ index, text }) => {
    const source = `${file}:${code.slice(0, index).split('\n').length}`;
    return text
      .split(/\n\s*\n|(?=@(?:param|returns|throws)\b)|\n(?=\s*[-*] )/)
      .map((part) =>
        part
          .replaceAll(/\s+/g, ' ')
          .replaceAll(/@(?:param \S+|returns|throws [^.]*)/g, '')
          .trim(),
      )
      .filter((part) => part.split(' ').length >= 4 && !/^(?:oxlint|biome|\[)/.test(part))
      .map((part) => ({ source, text: part }));
  });
}

/** The help of every command, as it is printed where the terminal has 80 columns. */
export function printedHelp(): readonly Passage[] {
  return commandsOf(buildProgram(() => {})).map((command) => {
    let text = '';
    command.configureOutput({ writeOut: (part) => (text += part), getOutHelpWidth: () => 80 });
    command.outputHelp();
    return { source: pathOf(command), text };
  });
}

function commandsOf(command: Command): readonly Command[] {
  return [command, ...command.commands.flatMap(commandsOf)];
}

function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`;
}
