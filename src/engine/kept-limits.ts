/**
 * Keeps how many pixels fitted into one pass, after more ran out of memory. It is one small file beside the compile cache for each model, compute type
 * and device. Only a help: a file that is missing, damaged or cannot be written costs one more pass that is halved.
 */
import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import type { ModelFacts } from '../job/model-facts.ts';
import { makeFolder } from '../lib/make-folder.ts';
import { writePlainFile } from '../lib/plain-file.ts';

const limitSchema = z.object({
  max_pixels: z.number().int().positive(),
  /** When it was found out. */
  at_ms: z.number().int().nonnegative(),
});
export type KeptLimit = z.infer<typeof limitSchema>;

/** Another program may have taken the memory, so a larger pass is tried again after so long. */
const LIFE_MS = 24 * 60 * 60_000;
const MOST_BYTES = 1000;

export interface KeptLimits {
  /** undefined: none, or an old one. */
  read(nowMs?: number): KeptLimit | undefined;
  keep(limit: KeptLimit): void;
}

type Facts = Pick<
  ModelFacts,
  'modelName' | 'vaeName' | 'pipelineClass' | 'dtype' | 'runtime' | 'device' | 'deviceName'
>;

/** @param folder of the compile cache */
export function keptLimits(folder: string, facts: Facts): KeptLimits {
  const { modelName, vaeName, pipelineClass, dtype, runtime, device, deviceName } = facts;
  // Several machines may share the folder.
  const conditions = [hostname(), modelName, vaeName, pipelineClass, dtype, runtime, device, deviceName];
  const hash = createHash('sha256').update(JSON.stringify(conditions)).digest('hex');
  const path = join(folder, `batch-${hash.slice(0, 32)}.json`);
  return {
    read: (nowMs = Date.now()) => {
      const limit = readLimit(path);
      return limit !== undefined && isFresh(limit, nowMs) ? limit : undefined;
    },
    keep: (limit) => {
      const write = async (): Promise<void> => {
        await makeFolder(folder);
        await writePlainFile(path, Buffer.from(JSON.stringify(limit)));
      };
      void write().catch(() => undefined);
    },
  };
}

/** One out of the future is not believed. */
export function isFresh({ at_ms: atMs }: KeptLimit, nowMs = Date.now()): boolean {
  return nowMs >= atMs && nowMs - atMs < LIFE_MS;
}

function readLimit(path: string): KeptLimit | undefined {
  try {
    if (!statSync(path).isFile() || statSync(path).size > MOST_BYTES) return undefined;
    return limitSchema.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch {
    return undefined;
  }
}
