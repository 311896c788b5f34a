/** Removes the health files that killed workers left behind: nobody else does, and `text2img health` would list them for ever. */
import { lstat, readdir, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { readPlainFile } from '../lib/plain-file.ts';
import { hasEnded, isDefaultHealthFile, mayTrustHealthFolder, workerIn } from './health-worker.ts';

/** Long enough for somebody to see that a worker was killed. */
const KEPT_MS = 24 * 60 * 60 * 1000;
const MAX_FILE_BYTES = 65_536;
const MAX_FILES = 1000;

/** Beside a default health file: those older than a day whose process of this machine has ended. Never rejects, since a worker starts without it too. */
export async function removeStaleHealthFiles(own: string): Promise<void> {
  const folder = dirname(own);
  if (!mayTrustHealthFolder()) return;
  const names = await readdir(folder).catch(() => []);
  for (const name of names.filter(isDefaultHealthFile).slice(0, MAX_FILES)) {
    const path = join(folder, name);
    try {
      if (path !== own && (await isStale(path))) await unlink(path);
    } catch {
      // Another worker removed it, or it says nothing that can be read.
    }
  }
}

async function isStale(path: string): Promise<boolean> {
  if (Date.now() - (await lstat(path)).mtimeMs <= KEPT_MS) return false;
  const content: unknown = JSON.parse((await readPlainFile(path, MAX_FILE_BYTES)).toString('utf8'));
  const worker = workerIn(content);
  return worker !== undefined && hasEnded(worker);
}
