/**
 * fake-gcs-server (github.com/fsouza/fake-gcs-server), a real program that others use too: `FAKE_GCS_SERVER`, the path, or built once with Go into
 * the user's cache folder, which takes about two minutes.
 */
import { execFile, spawn } from 'node:child_process';
import { access, constants, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { freePort } from './mongod.ts';

const run = promisify(execFile);
const VERSION = '1.56.1';
const CACHE = join(homedir(), '.cache', 'text2img', 'test');
const CACHED = join(CACHE, `fake-gcs-server-${VERSION}`);

/** Why there is none, for the tests that are skipped without it. */
export const NO_FAKE_GCS_SERVER =
  'NOT RUN: there is no fake-gcs-server. Set FAKE_GCS_SERVER, put it on the path, or install Go 1.25; the store ran against the tests’ own server only.';

export async function findFakeGcsServer(): Promise<string | undefined> {
  const stated = process.env['FAKE_GCS_SERVER'];
  if (stated !== undefined && stated !== '') return stated;
  const onPath = (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, 'fake-gcs-server'));
  for (const candidate of [...onPath, CACHED])
    if (
      await access(candidate, constants.X_OK).then(
        () => true,
        () => false,
      )
    )
      return candidate;
  const folder = await mkdtemp(join(tmpdir(), 'text2img-go-'));
  try {
    await run('go', ['install', `github.com/fsouza/fake-gcs-server@v${VERSION}`], {
      env: { ...process.env, GOBIN: folder },
    });
    await mkdir(CACHE, { recursive: true });
    await rename(join(folder, 'fake-gcs-server'), CACHED);
    return CACHED;
  } catch {
    return undefined;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

export interface FakeGcsServer extends AsyncDisposable {
  readonly url: string;
}

/** Started with an empty bucket, in memory. */
export async function startFakeGcsServer(binary: string, bucket: string): Promise<FakeGcsServer> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const flags = ['-scheme', 'http', '-host', '127.0.0.1', '-port', String(port), '-backend', 'memory'];
  const child = spawn(binary, [...flags, '-public-host', `127.0.0.1:${port}`, '-external-url', url], {
    stdio: 'ignore',
  });
  process.once('exit', () => child.kill('SIGKILL'));
  for (let look = 0; ; look++) {
    const made = await fetch(`${url}/storage/v1/b`, {
      method: 'POST',
      body: JSON.stringify({ name: bucket }),
      headers: { 'content-type': 'application/json' },
    }).catch(() => undefined);
    if (made?.ok === true) break;
    if (look > 100) throw new Error('fake-gcs-server does not start');
    await sleep(100);
  }
  return { url, [Symbol.asyncDispose]: async () => void child.kill('SIGKILL') };
}
