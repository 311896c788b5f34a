/** A user's shell in one of the places: types lines as they stand in a text, and looks at all JSON that comes. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { assertSnakeCase, parseStrictly } from '../../observability/strict-json.ts';
import { freshEnvironment, type Place } from './places.ts';

/** Many times what any line takes. */
const PATIENCE_MS = 300_000;

/** What must come, in whatever words. */
export interface Facts {
  /** Default: 0. */
  readonly code?: number;
  /** On standard output. */
  readonly prints?: RegExp | readonly RegExp[];
  /** On standard error. */
  readonly says?: RegExp | readonly RegExp[];
  /** On neither. */
  readonly never?: RegExp;
}

export interface Typed {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export type Environment = Readonly<Record<string, string>>;

/** Nothing that is typed reaches the network: not the hub, and no registry with a foreign package of our name. */
const OFFLINE: Environment = {
  npm_config_offline: 'true',
  npm_config_registry: 'http://127.0.0.1:9/',
  HTTPS_PROXY: 'http://127.0.0.1:9',
  HTTP_PROXY: 'http://127.0.0.1:9',
  NO_PROXY: '127.0.0.1,localhost',
  HF_ENDPOINT: 'http://127.0.0.1:9',
};

/** So that an image takes a moment; variables, because lines are typed as they stand. */
export const SMALL_IMAGES: Environment = {
  NUM_INFERENCE_STEPS: '2',
  TEXT2IMG_WIDTH: '64',
  TEXT2IMG_HEIGHT: '64',
};

export class Shell {
  /** Where lines are typed. */
  readonly folder: string;
  readonly #environment: Record<string, string>;

  constructor(place: Place, name: string, environment: Environment = {}) {
    this.folder = join(place.folder, name);
    const home = join(this.folder, '.home');
    for (const folder of [home, join(home, 'tmp'), join(home, 'bin')]) mkdirSync(folder, { recursive: true });
    const fresh = freshEnvironment({
      ...OFFLINE,
      HOME: home,
      TMPDIR: join(home, 'tmp'),
      npm_config_prefix: place.prefix,
      ...environment,
    });
    const path = [join(place.prefix, 'bin'), join(home, 'bin'), fresh['PATH']];
    this.#environment = { ...fresh, PATH: path.join(delimiter) };
  }

  /** Types a line and compares what comes with the facts. */
  async type(line: string, facts: Facts = {}, environment: Environment = {}): Promise<Typed> {
    const typed = await this.#run(line, environment);
    check(line, typed, facts);
    return typed;
  }

  /** Types a line that does not end by itself; gives its output so far whenever it grows. */
  start(
    line: string,
    environment: Environment = {},
  ): { readonly output: () => string; readonly ended: Promise<Typed> } {
    let output = '';
    const ended = this.#run(line, environment, (chunk) => (output += chunk));
    return { output: () => output, ended };
  }

  write(name: string, content: string): void {
    writeFileSync(join(this.folder, name), content);
  }

  /** A program of the user's own. */
  writeProgram(name: string, script: string): void {
    writeFileSync(join(this.folder, '.home', 'bin', name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  }

  has(name: string): boolean {
    return existsSync(join(this.folder, name));
  }

  read(name: string): Buffer {
    return readFileSync(join(this.folder, name));
  }

  /** Lines of a log file, each looked at. */
  logOf(name: string): readonly Record<string, unknown>[] {
    return jsonLines(this.read(name).toString(), name);
  }

  async #run(line: string, environment: Environment, onOutput: (chunk: string) => void = () => {}): Promise<Typed> {
    const child = spawn('sh', ['-c', line], { cwd: this.folder, env: { ...this.#environment, ...environment } });
    const texts = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const)
      child[name].setEncoding('utf8').on('data', (chunk: string) => {
        texts[name] += chunk;
        onOutput(chunk);
      });
    // Nobody types more.
    child.stdin.on('error', () => {}).end();
    const patience = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS);
    const code = await new Promise<number | null>((resolve, reject) => {
      child.on('error', reject).on('close', resolve);
    });
    clearTimeout(patience);
    for (const name of ['stdout', 'stderr'] as const) jsonLines(texts[name], line);
    return { code, ...texts };
  }
}

/** Those of a text that are JSON: no name twice, every name in snake_case. */
export function jsonLines(text: string, source: string): readonly Record<string, unknown>[] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => {
      const value = parseStrictly(line);
      assertSnakeCase(value, `${source}: ${line}`);
      return value as Record<string, unknown>;
    });
}

function check(line: string, { code, stdout, stderr }: Typed, facts: Facts): void {
  const all = `$ ${line}\n${stdout}${stderr}`;
  assert.equal(code, facts.code ?? 0, all);
  for (const one of [facts.prints ?? []].flat()) assert.match(stdout, withoutCase(one), all);
  for (const one of [facts.says ?? []].flat()) assert.match(stderr, withoutCase(one), all);
  if (facts.never !== undefined) assert.doesNotMatch(`${stdout}${stderr}`, facts.never, all);
}

/** Whether a sentence begins large is no fact. */
function withoutCase(fact: RegExp): RegExp {
  return new RegExp(fact.source, `${fact.flags}i`);
}
