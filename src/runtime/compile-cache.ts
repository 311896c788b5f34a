/**
 * Keeps the compiled form of a large graph: optimised nodes, and weights in the order that the runtime's kernels want. The next start maps it instead
 * of making it again. Only a cache: any entry may be deleted at any time, and an entry that is not what was written is made anew.
 */
import { createHash } from 'node:crypto';
import { rm, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { isDiskFull, messageOf } from '../lib/disk-errors.ts';
import { withFileLock } from '../lib/file-lock.ts';
import { makeFolder } from '../lib/make-folder.ts';
import { omitUndefined } from '../lib/omit-undefined.ts';
import type { BuiltGraph, Widening } from '../onnx/graph.ts';
import {
  beginEntry,
  checkEntry,
  checkRoom,
  finishEntry,
  makeRoom,
  removeDrafts,
  removeEntry,
  weightsDigest,
} from './cache-entries.ts';
import type { CompileCacheSettings } from './contract.ts';
import { type CompilingForm, overTemporaryWeights } from './temporary-weights.ts';
import { writeWidened } from './write-widened.ts';

/** A graph as a runtime compiled it. The cache owns the folder, its lock and its size. */
export interface CompiledForm<N extends AsyncDisposable> extends CompilingForm<N> {
  /** Everything that the form depends on beside the graph and its weights: the runtime's version, the processor. */
  readonly key: string;
  /** From a folder that `compileInto` filled. @throws `engine_out_of_memory`: the folder is kept; any other error: it is made anew */
  load(folder: string): Promise<N>;
  /** Leaves its files in the folder, to be loaded from there. @param graph the cache's form of the graph: its weights may lie elsewhere */
  compileInto(folder: string, graph: BuiltGraph): Promise<void>;
  /** The weights in float32, where `compileInto` was given them in a file, stay in the entry as `WIDENED_FILE`. */
  readonly keepsWidened?: true;
}

/** Smaller networks load in less time than their cache entry takes to look up and map. */
const MIN_WEIGHT_BYTES = 100 * 2 ** 20;

/** The holder's thread stands still while ONNX Runtime compiles, for 17 s with the UNet of Stable Diffusion 1.x. */
const LOCK = { staleMs: 5 * 60_000, patienceMs: 6 * 60_000 };

/** The graph's compiled form, out of the cache if it is there, else made and left there. @throws what the form throws */
export async function openThroughCache<N extends AsyncDisposable>(
  graph: BuiltGraph,
  form: CompiledForm<N>,
  cache: CompileCacheSettings,
): Promise<N> {
  const { folder, minWeightBytes = MIN_WEIGHT_BYTES } = cache;
  const compileAlone = (): Promise<N> => overTemporaryWeights(graph, form);
  if (folder === null || graph.weightBytes < minWeightBytes) return await compileAlone();
  try {
    await makeFolder(folder);
    const entry = join(folder, await cacheKey({ graph, form, folder, cache }));
    const opening = { graph, form, cache, folder, entry };
    return (await loadEntry(opening)) ?? (await makeEntry(opening)) ?? (await compileAlone());
  } catch (error) {
    // Without the cache the same memory would be missing.
    if (isOutOfMemory(error)) throw error;
    cache.onNote?.(`The compile cache in ${folder} could not be used: ${messageOf(error)}`);
    return await compileAlone();
  }
}

interface Opening<N extends AsyncDisposable> {
  readonly graph: BuiltGraph;
  readonly form: CompiledForm<N>;
  readonly cache: CompileCacheSettings;
  readonly folder: string;
  readonly entry: string;
}

function isOutOfMemory(error: unknown): boolean {
  return error instanceof Text2ImgError && error.code === 'engine_out_of_memory';
}

async function loadEntry<N extends AsyncDisposable>({ entry, form, cache }: Opening<N>): Promise<N | undefined> {
  const state = await checkEntry(entry, cache.verify ?? 'changed');
  if (state === 'unknown') return undefined;
  if (state === 'good') {
    try {
      const loaded = await form.load(entry);
      // A cache that may only be read is used all the same.
      await utimes(entry, new Date(), new Date()).catch(() => undefined);
      return loaded;
    } catch (error) {
      // The entry is whole: the next start, or one with more memory, uses it.
      if (isOutOfMemory(error)) throw error;
      cache.onNote?.(`The compile cache entry ${entry} does not load and is made again: ${messageOf(error)}`);
    }
  } else cache.onNote?.(`The compile cache entry ${entry} was changed after it was written, and is made again.`);
  await removeEntry(entry);
  return undefined;
}

/**
 * One writer: others wait for it and load what it made. The writer loads it too, because what it compiled lies in its own memory and an entry is
 * mapped.
 * @returns undefined where the new entry does not load
 */
async function makeEntry<N extends AsyncDisposable>(opening: Opening<N>): Promise<N | undefined> {
  const { cache, folder, entry } = opening;
  return await withFileLock(
    `${entry}.lock`,
    async () => {
      const made = await loadEntry(opening);
      if (made !== undefined) return made;
      await removeDrafts(entry);
      const entryBytes = entryBytesOf(opening);
      await makeRoom(folder, { entryBytes, limitBytes: cache.limitBytes });
      await checkRoom(folder, entryBytes);
      const draft = await beginEntry(entry);
      try {
        await compileInto(draft, opening);
        await finishEntry(draft, entry);
      } finally {
        await rm(draft, { recursive: true, force: true });
      }
      return await loadEntry(opening);
    },
    LOCK,
  );
}

function entryBytesOf<N extends AsyncDisposable>({ graph, form }: Opening<N>): number {
  return form.keepsWidened === true ? (graph.widening?.bytes ?? 0) : graph.weightBytes;
}

/** Of the weights in float32, in the entry's folder. */
export const WIDENED_FILE = 'widened-weights.bin';

async function compileInto<N extends AsyncDisposable>(draft: string, opening: Opening<N>): Promise<void> {
  const { graph, form, cache, folder } = opening;
  const { widening } = graph;
  const file = join(draft, WIDENED_FILE);
  try {
    // Most entries hold the weights a second time, in the order of the kernels.
    const neededBytes = (form.keepsWidened === true ? 1 : 2) * (widening?.bytes ?? 0);
    const isNeeded = graph.weightType === 'int8';
    const wanted = { folder, neededBytes, isNeeded, ...omitUndefined({ eightBitForm: form.eightBitForm }) };
    const widened = widening === undefined ? graph : await widenInto(file, { widening, ...wanted });
    await form.compileInto(draft, typeof widened === 'string' ? graph : widened);
    if (typeof widened === 'string') cache.onNote?.(widened);
  } finally {
    if (form.keepsWidened !== true) await rm(file, { force: true });
  }
}

interface Widen extends Pick<CompilingForm<AsyncDisposable>, 'eightBitForm'> {
  readonly widening: Widening;
  readonly folder: string;
  /** Of the disk. */
  readonly neededBytes: number;
  /** The graph cannot convert its weights itself. */
  readonly isNeeded: boolean;
}

/** @returns a sentence where the disk has no room for the file: then the graph converts its weights itself */
async function widenInto(file: string, wanted: Widen): Promise<BuiltGraph | string> {
  const { widening, folder, neededBytes, isNeeded, eightBitForm } = wanted;
  try {
    await checkRoom(folder, neededBytes);
    await writeWidened(widening, file);
    return widening.graphOver(file, eightBitForm);
  } catch (error) {
    const isFull = isDiskFull(error) || (error instanceof Text2ImgError && error.code === 'disk_full');
    if (!isFull || isNeeded) throw error;
    await rm(file, { force: true });
    return `The weights were converted in memory, which took about twice their size: ${messageOf(error)}`;
  }
}

/** Everything that the compiled form depends on. */
async function cacheKey<N extends AsyncDisposable>({
  graph,
  form,
  folder,
  cache,
}: Omit<Opening<N>, 'entry'>): Promise<string> {
  const hash = createHash('sha256')
    .update(form.key)
    // The same for weight files that only moved.
    .update(graph.weightType ?? '')
    .update(graph.modelOver?.((file) => ({ location: String(graph.weightFiles.indexOf(file)) })) ?? graph.model);
  const { verify = 'changed' } = cache;
  for (const file of graph.weightFiles) hash.update(`${await weightsDigest(folder, file, verify)}\n`);
  return hash.digest('hex').slice(0, 32);
}
