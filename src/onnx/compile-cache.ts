/**
 * Keeps what ONNX Runtime made of a large graph (optimised nodes, weights in the order its kernels want), so that the next start maps it
 * instead of making it again. Only a cache: any entry may be deleted at any time, and one that does not load is made anew.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { cpus } from 'node:os';
import { join } from 'node:path';
import type { BuiltGraph } from './graph.ts';
import {
  createSession,
  createSessionAndSave,
  loadOptimizedSession,
  type SessionSettings,
} from './onnxruntime-session.ts';
import type { Session } from './session.ts';

export interface CompileCacheSettings {
  /** null: off. */
  readonly folder: string | null;
  readonly capBytes?: number;
  /** Sentences for the log. */
  readonly onNote?: (sentence: string) => void;
}

/** Room for four Stable Diffusion 1.x UNets. */
const DEFAULT_CAP_BYTES = 16 * 2 ** 30;

/** Smaller networks load in less time than their cache entry takes to look up and map. */
const MIN_WEIGHT_BYTES = 100 * 2 ** 20;

const MODEL_FILE = 'model.onnx';

/** A session of `graph`, out of the cache if it is there, else made and left there. @throws `inference_failed`, `engine_out_of_memory` */
export async function openCachedSession(
  graph: BuiltGraph,
  settings: SessionSettings,
  cache: CompileCacheSettings,
): Promise<Session> {
  if (cache.folder === null || settings.provider.name !== 'cpu' || graph.weightBytes < MIN_WEIGHT_BYTES)
    return createSession(graph, settings);
  const note = cache.onNote ?? ((): void => undefined);
  const entry = join(cache.folder, await cacheKey(graph));
  const cached = await loadEntry(entry, settings, note);
  if (cached !== undefined) return cached;
  try {
    return await makeEntry({
      graph,
      settings,
      folder: cache.folder,
      entry,
      capBytes: cache.capBytes ?? DEFAULT_CAP_BYTES,
    });
  } catch (error) {
    note(`The compile cache could not be written: ${error instanceof Error ? error.message : String(error)}`);
    return createSession(graph, settings);
  }
}

async function loadEntry(
  entry: string,
  settings: SessionSettings,
  note: (sentence: string) => void,
): Promise<Session | undefined> {
  const model = join(entry, MODEL_FILE);
  if (!existsSync(model)) return undefined;
  try {
    const session = await loadOptimizedSession(model, settings);
    await utimes(entry, new Date(), new Date());
    return session;
  } catch (error) {
    note(
      `The compile cache entry ${entry} does not load and is made anew: ${error instanceof Error ? error.message : String(error)}`,
    );
    await rm(entry, { recursive: true, force: true });
    return undefined;
  }
}

interface NewEntry {
  readonly graph: BuiltGraph;
  readonly settings: SessionSettings;
  readonly folder: string;
  readonly entry: string;
  readonly capBytes: number;
}

/** Written beside and renamed into place, so that several processes may make the same entry and none sees half of it. */
async function makeEntry({ graph, settings, folder, entry, capBytes }: NewEntry): Promise<Session> {
  await mkdir(folder, { recursive: true });
  await makeRoom(folder, capBytes - graph.weightBytes);
  const draft = await mkdtemp(join(folder, 'draft-'));
  try {
    const session = await createSessionAndSave(graph, settings, join(draft, MODEL_FILE));
    await rename(draft, entry).catch((error: NodeJS.ErrnoException) => {
      // Another process was first.
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    });
    return session;
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

/** Deletes the entries that were used least recently, and drafts of processes that died, until the rest fits. */
async function makeRoom(folder: string, capBytes: number): Promise<void> {
  const entries = await Promise.all(
    (await readdir(folder)).map(async (name) => {
      const path = join(folder, name);
      const files = await readdir(path).catch(() => []);
      const sizes = await Promise.all(
        files.map((file) =>
          stat(join(path, file)).then(
            ({ size }) => size,
            () => 0,
          ),
        ),
      );
      const usedMs = await stat(path).then(
        ({ mtimeMs }) => mtimeMs,
        () => 0,
      );
      return { path, bytes: sizes.reduce((sum, size) => sum + size, 0), usedMs, isDraft: name.startsWith('draft-') };
    }),
  );
  const hourAgoMs = Date.now() - 3_600_000;
  let kept = 0;
  for (const { path, bytes, usedMs, isDraft } of entries.toSorted((a, b) => b.usedMs - a.usedMs)) {
    kept += bytes;
    if (kept > capBytes || (isDraft && usedMs < hourAgoMs)) await rm(path, { recursive: true, force: true });
  }
}

/** Everything that the compiled form depends on. */
async function cacheKey(graph: BuiltGraph): Promise<string> {
  const hash = createHash('sha256').update(onnxRuntimeVersion()).update(cpuIdentity()).update(graph.model);
  for (const file of graph.weightFiles) {
    const { size, mtimeMs } = await stat(file);
    hash.update(`${file}\n${size}\n${mtimeMs}\n`);
  }
  return hash.digest('hex').slice(0, 32);
}

function onnxRuntimeVersion(): string {
  const manifest = createRequire(import.meta.url).resolve('onnxruntime-node/package.json');
  return (JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }).version;
}

/** The layouts that ONNX Runtime chooses depend on the instruction sets. */
function cpuIdentity(): string {
  const flags = existsSync('/proc/cpuinfo')
    ? (/^flags\s*:.*$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[0] ?? '')
    : '';
  return `${process.arch}\n${cpus()[0]?.model ?? ''}\n${flags}\n`;
}
