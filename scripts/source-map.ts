/** The tree of `src/` as the map shows it: folders from the import table, files by the first sentence of their first comment. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { FOLDERS } from '../oxlint.config.ts';

const SOURCE = fileURLToPath(new URL('../src', import.meta.url));
const LONGEST = 140;

/** Two spaces a level; ends with a line feed. */
export async function sourceMap(): Promise<string> {
  return `src/\n${await folderLines('', 1)}`;
}

async function folderLines(folder: string, level: number): Promise<string> {
  const entries = await readdir(join(SOURCE, folder), { withFileTypes: true });
  const byName = (a: { name: string }, b: { name: string }): number => (a.name < b.name ? -1 : 1);
  const indent = '  '.repeat(level);
  let lines = '';
  for (const { name } of entries.filter((entry) => entry.isDirectory()).toSorted(byName)) {
    const path = folder === '' ? name : `${folder}/${name}`;
    lines += `${indent}${name}/  ${folderComment(path)}\n${await folderLines(path, level + 1)}`;
  }
  for (const { name } of entries.filter((entry) => entry.isFile()).toSorted(byName))
    lines += `${indent}${name}  ${await fileComment(join(SOURCE, folder, name))}\n`;
  return lines;
}

function folderComment(path: string): string {
  const [top = '', ...rest] = path.split('/');
  const comment = rest.length === 0 ? FOLDERS[top]?.holds : FOLDERS[top]?.folders?.[rest.join('/')];
  if (comment === undefined) throw new Error(`src/${path} has no row in the table of oxlint.config.ts`);
  return comment;
}

async function fileComment(path: string): Promise<string> {
  const comment = /^\/\*\*([\s\S]*?)\*\//.exec(await readFile(path, 'utf8'))?.[1];
  if (comment === undefined) throw new Error(`${path} does not say in its first lines what it is for`);
  const text = comment.replaceAll(/\s*\n \*\s*/g, ' ').trim();
  const sentence = /^.*?(?=[.:;](?:\s|$))/.exec(text)?.[0] ?? text;
  return sentence.length <= LONGEST ? sentence : `${sentence.slice(0, sentence.lastIndexOf(' ', LONGEST))} …`;
}
