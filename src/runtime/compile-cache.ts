/**
 * Keeps what ONNX Runtime made of a large graph (optimised nodes, weights in the order its kernels want), so that the next start maps it
 * instead of making it again. Only a cache: any entry may be deleted at any time, and one that is not what was written is made anew.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, rm, utimes } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { messageOf } from '../lib/disk-errors.ts';
import { withFileLock } from '../lib/file-lock.ts';
import {
  beginEntry,
  checkEntry,
  checkRoom,
  finishEntry,
  makeRoom,
  MODEL_FILE,
  removeDrafts,
  removeEntry,
  weightsDigest,
} from './cache-entries.ts';
import type { VerifyCache } from './file-digest.ts';
import type { BuiltGraph } from '../onnx/graph.ts';
import {
  createSession,
  createSessionAndSave,
  loadOptimizedSession,
  type SessionSettings,
} from './onnxruntime/session.ts';
import type { Session } from './contract.ts';

export interface CompileCacheSettings {
  /** null: off. */
  readonly folder: string | null;
  readonly verify?: VerifyCache;
  readonly capBytes?: number;
  /** Networks with less are not cached. */
  readonly minWeightBytes?: number;
  /** Sentences for the log. */
  readonly onNote?: (sentence: string) => void;
}

/** Room for four Stable Diffusion 1.x UNets. */
const DEFAULT_CAP_BYTES = 16 * 2 ** 30;

/** Smaller networks load in less time than their cache entry takes to look up and map. */
const MIN_WEIGHT_BYTES = 100 * 2 ** 20;

/** The holder's thread stands still while ONNX Runtime compiles, for 17 s with the UNet of Stable Diffusion 1.x. */
const LOCK = { staleMs: 5 * 60_000, patienceMs: 6 * 60_000 };

/** A session of `graph`, out of the cache if it is there, else made and left there. @throws `inference_failed`, `engine_out_of_memory` */
export async function openCachedSession(
  graph: BuiltGraph,
  settings: SessionSettings,
  cache: CompileCacheSettings,
): Promise<Session> {
  const { folder, minWeightBytes = MIN_WEIGHT_BYTES } = cache;
  if (folder === null || settings.provider.name !== 'cpu' || graph.weightBytes < minWeightBytes)
    return createSession(graph, settings);
  try {
    await mkdir(folder, { recursive: true });
    const opening = { graph, settings, cache, folder, entry: join(folder, await cacheKey(graph, folder, cache)) };
    return (await loadEntry(opening)) ?? (await makeEntry(opening));
  } catch (error) {
    // Memory that is not there would not be there without the cache either.
    if (error instanceof Text2ImgError && error.code === 'engine_out_of_memory') throw error;
    cache.onNote?.(`The compile cache in ${folder} could not be used: ${messageOf(error)}`);
    return createSession(graph, settings);
  }
}

interface Opening {
  readonly graph: BuiltGraph;
  readonly settings: SessionSettings;
  readonly cache: CompileCacheSettings;
  readonly folder: string;
  readonly entry: string;
}

async function loadEntry({ entry, settings, cache }: Opening): Promise<Session | undefined> {
  const state = await checkEntry(entry, cache.verify ?? 'changed');
  if (state === 'unknown') return undefined;
  if (state === 'good') {
    try {
      const session = await loadOptimizedSession(join(entry, MODEL_FILE), settings);
      // A cache that may only be read is used all the same.
      await utimes(entry, new Date(), new Date()).catch(() => undefined);
      return session;
    } catch (error) {
      if (error instanceof Text2ImgError && error.code === 'engine_out_of_memory') throw error;
      cache.onNote?.(`The compile cache entry ${entry} does not load and is made anew: ${messageOf(error)}`);
    }
  } else cache.onNote?.(`The compile cache entry ${entry} is not what was written there, and is made anew.`);
  await removeEntry(entry);
  return undefined;
}

/** One writer: others wait for it and load what it made. */
async function makeEntry(opening: Opening): Promise<Session> {
  const { graph, settings, cache, folder, entry } = opening;
  return await withFileLock(
    `${entry}.lock`,
    async () => {
      const made = await loadEntry(opening);
      if (made !== undefined) return made;
      await removeDrafts(entry);
      await makeRoom(folder, (cache.capBytes ?? DEFAULT_CAP_BYTES) - graph.weightBytes);
      await checkRoom(folder, graph.weightBytes);
      const draft = await beginEntry(entry);
      let session: Session | undefined;
      try {
        session = await createSessionAndSave(graph, settings, join(draft, MODEL_FILE));
        await finishEntry(draft, entry);
        return session;
      } catch (error) {
        await session?.[Symbol.asyncDispose]();
        throw error;
      } finally {
        await rm(draft, { recursive: true, force: true });
      }
    },
    LOCK,
  );
}

/** Everything that the compiled form depends on. */
async function cacheKey(
  graph: BuiltGraph,
  folder: string,
  { verify = 'changed' }: CompileCacheSettings,
): Promise<string> {
  const hash = createHash('sha256').update(onnxRuntimeVersion()).update(cpuIdentity()).update(graph.model);
  for (const file of graph.weightFiles) hash.update(`${await weightsDigest(folder, file, verify)}\n`);
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
