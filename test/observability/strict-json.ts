/** A parser of JSON that refuses an object with one name twice. `JSON.parse` keeps the last value, other readers the first, and nobody says so. */
import assert from 'node:assert/strict';

const STRING = /"(?:[^"\\]|\\.)*"/y;

/** @throws `Error` that names the repeated name, and what `JSON.parse` throws */
export function parseStrictly(text: string): unknown {
  const value: unknown = JSON.parse(text);
  /** The names of each object that is open here; undefined for a list. */
  const open: (Set<string> | undefined)[] = [];
  for (let at = 0; at < text.length; at++) {
    const character = text.charAt(at);
    if (character === '{') open.push(new Set());
    else if (character === '[') open.push(undefined);
    else if (character === '}' || character === ']') open.pop();
    else if (character === '"') {
      STRING.lastIndex = at;
      const [quoted = ''] = STRING.exec(text) ?? [];
      at += quoted.length - 1;
      if (/^\s*:/.test(text.slice(at + 1, at + 20))) addName(open.at(-1), JSON.parse(quoted) as string);
    }
  }
  return value;
}

function addName(names: Set<string> | undefined, name: string): void {
  if (names?.has(name)) throw new Error(`the name ${JSON.stringify(name)} stands twice in one object`);
  names?.add(name);
}

const SNAKE_CASE = /^[a-z][a-z0-9]*(?:_[a-z0-9]+)*$/;

/** Every name in the value, at any depth. */
export function assertSnakeCase(value: unknown, where: string): void {
  for (const name of namesIn(value)) assert.match(name, SNAKE_CASE, where);
}

function namesIn(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(namesIn);
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, one]) => [name, ...namesIn(one)]);
}
