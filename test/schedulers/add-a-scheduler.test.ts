/**
 * A new scheduler is its own file and one line in `registry.ts`; names, documents, configuration, help and the PNG's text follow. Proved by adding one
 * to a copy of `src/`. The third file is its vectors, which the other tests of this folder ask for.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { SCHEDULERS } from '../../src/schedulers/registry.ts';
import { ALLOWED_SCHEDULERS, SCHEDULER_NAMES, SHORT_SCHEDULER_NAMES } from '../../src/schedulers/scheduler-names.ts';
import { FIXTURE } from './fixture-scheduler.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const place = await mkdtemp(join(tmpdir(), 'text2img-scheduler-'));
after(() => rm(place, { recursive: true, force: true }));

const { className } = FIXTURE;
const shortName = FIXTURE.names[0]?.name ?? '';

/** What `ask-about-fixture.ts` prints. */
interface Answers {
  readonly document: readonly string[];
  readonly unknown: string;
  readonly config: { readonly config: unknown; readonly warnings: readonly string[] };
  readonly badConfig: string;
  readonly badChoice: string;
  readonly unknownClass: string;
  readonly png: string;
  readonly pngRead: string;
  readonly webUi: readonly string[];
  readonly sigmas: readonly number[];
  readonly result: readonly number[];
}

/** @returns the files that the new scheduler touches */
async function addFixture(): Promise<readonly string[]> {
  const own = await readFile(join(root, 'test/schedulers/fixture-scheduler.ts'), 'utf8');
  await writeFile(join(place, 'src/schedulers/fixture-scheduler.ts'), own.replaceAll('../../src/schedulers/', './'));
  const registry = join(place, 'src/schedulers/registry.ts');
  const lines = (await readFile(registry, 'utf8'))
    .replace(/^import .*ddim.*$/m, "$&\nimport { FIXTURE } from './fixture-scheduler.ts';")
    .replace(/^(export const SCHEDULERS.*= \[)/m, '$1FIXTURE, ');
  await writeFile(registry, lines);
  return ['src/schedulers/fixture-scheduler.ts', 'src/schedulers/registry.ts'];
}

test('a scheduler that is added in its own file and in the registry is known everywhere', async () => {
  for (const folder of ['src', 'test/schedulers'])
    await cp(join(root, folder), join(place, folder), { recursive: true });
  await cp(join(root, 'package.json'), join(place, 'package.json'));
  await symlink(join(root, 'node_modules'), join(place, 'node_modules'));
  assert.equal((await addFixture()).length, 2);
  const script = join(place, 'test/schedulers/ask-about-fixture.ts');
  const answers = JSON.parse(
    execFileSync(process.execPath, [script, className, shortName], { encoding: 'utf8' }),
  ) as Answers;
  assert.deepEqual(answers.document, [className, shortName], 'a document may name it');
  for (const key of ['unknown', 'unknownClass', 'badConfig', 'badChoice'] as const)
    assert.match(answers[key], /^Text2ImgError/, `${key} is refused`);
  for (const name of ['"magic"', className, shortName]) assert.ok(answers.unknown.includes(name), answers.unknown);
  assert.match(answers.unknownClass, new RegExp(className));
  assert.match(answers.badConfig, /"shift" is 99/);
  assert.match(answers.badChoice, /"use_dynamic_shifting" is true/);
  assert.deepEqual(answers.config.config, { shift: 2, other: 1 });
  assert.equal(answers.config.warnings.length, 1, 'a key that it does not have is a warning');
  assert.match(answers.png, /Sampler: Fixture Straight, .*Scheduler: fixture_flow/);
  assert.equal(answers.pngRead, shortName);
  assert.deepEqual(answers.webUi, [shortName, shortName], 'the web UI’s sampler, in one name or in two');
  assert.deepEqual(answers.sigmas, [1, 0.9, 0.75, 0.5], 'its name’s settings count');
  assert.ok(answers.result.every(Number.isFinite));
  const help = execFileSync(process.execPath, [join(place, 'src/cli/entry.ts'), 'generate', '--help'], {
    encoding: 'utf8',
    env: { PATH: process.env['PATH'] },
  });
  const ofScheduler = /--scheduler .*--schedule-type/.exec(help.replaceAll(/\s+/g, ' '))?.[0] ?? '';
  for (const name of [className, shortName]) assert.ok(ofScheduler.includes(name), ofScheduler);
});

test('no two schedulers share a name, and each says what the web UI calls it', () => {
  assert.equal(new Set(SCHEDULER_NAMES).size, SCHEDULER_NAMES.length);
  const samplers = SCHEDULERS.flatMap(({ names }) =>
    names.map(({ sampler, scheduleType }) => `${sampler} ${scheduleType}`),
  );
  assert.equal(new Set(samplers).size, samplers.length);
  for (const { names } of SCHEDULERS) assert.ok(names.some(({ sampler }) => sampler !== undefined));
});

test('README and the pages of options and requests list the names of the registry', async () => {
  const read = (page: string): Promise<string> => readFile(join(root, page), 'utf8');
  const listed = /Schedulers: `([^`]*)`/.exec(await read('README.md'))?.[1];
  assert.ok(listed === SHORT_SCHEDULER_NAMES.join(' '), 'README.md lists other schedulers; run: npm run pages');
  for (const page of ['docs/options.md', 'docs/requests.md'])
    assert.ok(
      (await read(page)).includes(`one of ${ALLOWED_SCHEDULERS}`),
      `${page} lists other schedulers; run: npm run pages`,
    );
});
