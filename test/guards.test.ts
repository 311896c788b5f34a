/**
 * Each guard that keeps a run from being published twice is taken out of a copy of the source, and the tests that stand for it must fail there.
 * The protocol's model says that it breaks without them; this says that our tests would notice.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';
import { findMongod, NO_MONGOD } from './servers/find-mongod.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

interface Guard {
  readonly name: string;
  readonly file: string;
  readonly with: string;
  readonly without: string;
  /** The test file, and one of its tests that must fail. Only this test is run, so its name has no characters that mean something in a pattern. */
  readonly test: string;
  readonly noticedBy: string;
  readonly needsMongod?: true;
}

const GUARDS: readonly Guard[] = [
  {
    name: 'the token in every write after the claim (MongoDB)',
    file: 'src/queue/mongo/prompts-collection.ts',
    with: "return { ...byId(bsonIdOf(id)), status: 'processing', 'job.token': token };",
    without: "return { ...byId(bsonIdOf(id)), status: 'processing' };",
    test: 'test/queue/mongo/mongo-prompt-queue.test.ts',
    noticedBy: 'when a lease ends, another worker goes on with the same run',
    needsMongod: true,
  },
  {
    name: 'the token in the completion (embedded)',
    file: 'src/queue/sqlite/complete.ts',
    with: "WHERE id = ?5 AND token = ?6 AND status = 'processing'",
    without: "WHERE id = ?5 AND (token = ?6 OR 1) AND status = 'processing'",
    test: 'test/queue/sqlite/sqlite-prompt-queue.test.ts',
    noticedBy: 'when a lease ends, another worker goes on with the same run',
  },
  {
    name: 'the precondition of an upload',
    file: 'src/storage/gcs/gcs-client.ts',
    with: 'preconditionOpts: { ifGenerationMatch: generation },',
    without: '',
    test: 'test/storage/gcs/gcs-image-store.test.ts',
    noticedBy: 'a worker that lost its claim leaves another run’s object as it is',
  },
  {
    name: 'the generation of an overwrite',
    file: 'src/storage/gcs/gcs-client.ts',
    with: 'preconditionOpts: { ifGenerationMatch: generation },',
    without: "...(generation === '0' ? { preconditionOpts: { ifGenerationMatch: generation } } : {}),",
    test: 'test/storage/gcs/gcs-image-store.test.ts',
    noticedBy: 'a zombie that was allowed to replace does not overwrite what was written since',
  },
  {
    name: 'the renewal before an overwrite (bucket)',
    file: 'src/storage/gcs/gcs-image-store.ts',
    with: "if (!(await mayReplace())) return 'superseded';",
    without: '',
    test: 'test/storage/gcs/gcs-image-store.test.ts',
    noticedBy: 'a worker that lost its claim leaves another run’s object as it is',
  },
  {
    name: 'the renewal before an overwrite (worker)',
    file: 'src/worker/image-places.ts',
    with: 'mayReplace: () => job.lease.renew()',
    without: 'mayReplace: async () => true',
    test: 'test/worker/publishing.test.ts',
    noticedBy: 'a zombie of an earlier run does not overwrite the picture of the run that took over',
  },
  {
    name: 'the hashed name in the document before anything is stored under it',
    file: 'src/worker/object-names.ts',
    with: "if ((await record(name)) === 'lost') return false;",
    without: 'void record;',
    test: 'test/worker/object-names.test.ts',
    noticedBy:
      'a name that is taken between the look and the write: the hashed one is written down before anything is stored under it',
  },
  {
    name: 'the check of a name that stands in a document',
    file: 'src/storage/object-key.ts',
    with: 'return (objectName ?? objectStem(id)) === hashedName(id);',
    without: 'return objectName !== undefined || objectStem(id) === hashedName(id);',
    test: 'test/worker/object-names.test.ts',
    noticedBy: 'a name that a document brings along counts only where it is its hashed one',
  },
  {
    name: 'the names in the answer to an upload',
    file: 'src/storage/gcs/gcs-image-store.ts',
    with: 'readUploaded(answer, { bucket: this.#options.bucket, name, md5, sizeBytes: bytes.length });',
    without: 'void answer;',
    test: 'test/storage/gcs/gcs-image-store.test.ts',
    noticedBy: 'an upload that is answered with a log-in page is not believed, but repeated',
  },
];

const hasMongod = (await findMongod()) !== undefined;

for (const guard of GUARDS) {
  const skip = guard.needsMongod === true && !hasMongod ? { skip: NO_MONGOD } : {};
  test(`without ${guard.name} a test fails`, skip, async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'text2img-guard-'));
    t.after(() => rm(folder, { recursive: true, force: true }));
    for (const part of ['src', 'test', 'package.json'])
      await cp(join(root, part), join(folder, part), { recursive: true });
    await symlink(join(root, 'node_modules'), join(folder, 'node_modules'));
    const path = join(folder, guard.file);
    const source = await readFile(path, 'utf8');
    assert.ok(source.includes(guard.with), `${guard.file} has the guard as this test knows it`);
    await writeFile(path, source.replace(guard.with, guard.without));
    // A test runner inside a test runner would report to the outer one.
    const environment = { ...process.env, NODE_TEST_CONTEXT: undefined };
    const only = `--test-name-pattern=${guard.noticedBy}`;
    const { status, stdout } = spawnSync(process.execPath, ['--test', '--test-reporter=tap', only, guard.test], {
      cwd: folder,
      encoding: 'utf8',
      env: environment,
    });
    assert.notEqual(status, 0, 'the tests fail');
    const failed = stdout.split('\n').filter((line) => line.trimStart().startsWith('not ok'));
    assert.ok(
      failed.some((line) => line.includes(guard.noticedBy)),
      failed.join('\n'),
    );
  });
}
