/**
 * Keeps measurements of a network's runs beside the compile cache: one small file for each graph, device and runtime. Only a help for estimates: a
 * file that is missing, damaged or cannot be written costs nothing else.
 */
import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { makeFolder } from '../../lib/make-folder.ts';
import { writePlainFile } from '../../lib/plain-file.ts';
import type { BuiltGraph } from '../../onnx/graph.ts';
import type { Measurement } from './network-memory.ts';

const fileSchema = z.array(z.object({ livingBytes: z.number().positive(), takenBytes: z.number().positive() }));
const MOST_BYTES = 16_384;

export interface KeptMeasurements {
  readonly known: readonly Measurement[];
  readonly keep: (measurements: readonly Measurement[]) => void;
}

/** @param conditions everything beside the graph that decides what a run takes: runtime, device, threads */
export function keptMeasurements(folder: string, graph: BuiltGraph, conditions: string): KeptMeasurements {
  // A graph for bfloat16 or for 8-bit weights may have the bytes of the one for float32.
  const hash = createHash('sha256').update(`${conditions}\n${graph.computeType}\n${graph.weightType ?? ''}`);
  // The files' places say nothing about memory.
  hash.update(graph.modelOver?.(() => ({ location: '' })) ?? graph.model);
  const path = join(folder, `memory-${hash.digest('hex').slice(0, 32)}.json`);
  return {
    known: read(path),
    keep: (measurements) => {
      const write = async (): Promise<void> => {
        await makeFolder(folder);
        await writePlainFile(path, Buffer.from(JSON.stringify(measurements)));
      };
      void write().catch(() => undefined);
    },
  };
}

function read(path: string): readonly Measurement[] {
  try {
    if (!statSync(path).isFile() || statSync(path).size > MOST_BYTES) return [];
    return fileSchema.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch {
    return [];
  }
}
