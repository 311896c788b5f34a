/**
 * Measures once what a pass of a network takes on each runtime, and keeps it in the folder of the compile cache. It holds for this processor, these
 * versions, this number of threads and this network.
 */
import { createHash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { withFileLock } from '../lib/file-lock.ts';
import { makeFolder } from '../lib/make-folder.ts';
import { readPlainFile, writePlainFile } from '../lib/plain-file.ts';
import type { BuiltGraph } from '../onnx/graph.ts';
import { ONNX_RUNTIME_VERSION } from './onnxruntime/cuda/cuda-wheels.ts';
import { OPENVINO_VERSION } from './openvino/release.ts';
import { processorIdentity } from './processor.ts';

const milliseconds = z.number().positive();

const measurementSchema = z.object({
  made_by: z.literal('text2img'),
  /** Measurements that were begun. One that crashed the process is not begun for ever. */
  tries: z.number().int().positive(),
  /** Absent: none has ended. */
  times: z
    .object({
      width: z.number().int().positive(),
      height: z.number().int().positive(),
      /** The sides of the default size divided by those measured: 1, 2 or 4. Absent: an older version kept the file. */
      divisor: z.number().int().positive().optional(),
      onnxruntime_ms: milliseconds,
      /** Absent: it failed, or was not done in time. */
      openvino_ms: milliseconds.optional(),
      openvino_bfloat16_ms: milliseconds.optional(),
      measured_at: z.string(),
    })
    .optional(),
  problem: z.string().optional(),
  /** When the problem was met. Absent: an older version kept it for ever. */
  failed_at: z.iso.datetime().optional(),
});
export type Measurement = z.infer<typeof measurementSchema>;
export type MeasuredTimes = NonNullable<Measurement['times']>;

/** OpenVINO is taken where it is at least 10 % faster at the default size. */
const ADVANTAGE = 10;
/**
 * Percent more for each halving of the sides, because OpenVINO is better at small sizes. On two Zen 3 cores a pass of Stable Diffusion 1.5
 * was 22 % faster than on ONNX Runtime at 128×128. At 256×256 it was 12 % faster, and at 512×512 3 %.
 */
const ADVANTAGE_OF_A_SMALLER_SIZE = 10;
const MAX_TRIES = 2;
/** A cause may have passed: a full disk, a library that was mended. So a later start measures again, but not each one of a worker that restarts. */
const RETRY_MS = 24 * 3_600_000;
const MAX_BYTES = 10_000;
/** ONNX Runtime's thread stands still while it opens a network for the first time: 17 s for the UNet of Stable Diffusion 1.x. */
const LOCK = { staleMs: 5 * 60_000, patienceMs: 10 * 60_000 };

/** @param threads 0: as many as the machine offers */
export function measurementPath(folder: string, graph: BuiltGraph, threads: number): string {
  const key = createHash('sha256')
    .update(`${ONNX_RUNTIME_VERSION}\n${OPENVINO_VERSION}\n${processorIdentity()}`)
    .update(`${threads === 0 ? availableParallelism() : threads}\n`)
    .update(graph.weightType ?? '')
    // The same for weight files that only moved.
    .update(graph.modelOver?.((file) => ({ location: String(graph.weightFiles.indexOf(file)) })) ?? graph.model)
    .digest('hex')
    .slice(0, 32);
  return join(folder, `runtime-times-${key}.json`);
}

/** undefined: nobody has measured it, or the file is not ours */
export async function readMeasurement(path: string): Promise<Measurement | undefined> {
  try {
    return measurementSchema.parse(JSON.parse((await readPlainFile(path, MAX_BYTES)).toString('utf8')));
  } catch {
    return undefined;
  }
}

export type Measure = () => Promise<Pick<Measurement, 'times' | 'problem'>>;

/**
 * The measurement at `path`, made now where there is none. One process measures; others wait for it.
 * @throws errors of the disk where nothing can be kept there, and what `measure` throws
 */
export async function measureOnce(
  folder: string,
  path: string,
  measure: Measure,
  nowMs: number = Date.now(),
): Promise<Measurement> {
  const known = await readMeasurement(path);
  if (known !== undefined && isFinal(known, nowMs)) return known;
  await makeFolder(folder);
  return await withFileLock(
    `${path}.lock`,
    async () => {
      const before = await readMeasurement(path);
      if (before !== undefined && isFinal(before, nowMs)) return before;
      // A problem ended no process.
      const crashes = before?.problem === undefined ? (before?.tries ?? 0) : 0;
      const begun: Measurement = { made_by: 'text2img', tries: crashes + 1 };
      await keep(path, begun);
      const made = await measure().catch(async (error: unknown) => {
        // It ended no process, so it does not count.
        await rm(path, { force: true });
        throw error;
      });
      const failedAt = made.problem === undefined ? {} : { failed_at: new Date(nowMs).toISOString() };
      const measured: Measurement = { ...begun, ...made, ...failedAt };
      await keep(path, measured);
      return measured;
    },
    LOCK,
  );
}

function isFinal({ tries, times, problem, failed_at: failedAt }: Measurement, nowMs: number): boolean {
  if (times !== undefined) return true;
  if (problem === undefined) return tries >= MAX_TRIES;
  const ageMs = failedAt === undefined ? Infinity : Math.abs(nowMs - Date.parse(failedAt));
  return ageMs < RETRY_MS;
}

async function keep(path: string, measurement: Measurement): Promise<void> {
  await writePlainFile(path, Buffer.from(`${JSON.stringify(measurement)}\n`));
}

export function isOpenvinoFaster(times: MeasuredTimes): boolean {
  const { onnxruntime_ms: other, openvino_ms: openvino } = times;
  return openvino !== undefined && openvino * (100 + advantage(times)) <= 100 * other;
}

/** By how much OpenVINO must be faster to be taken, percent. */
function advantage({ divisor = 1 }: MeasuredTimes): number {
  return ADVANTAGE + ADVANTAGE_OF_A_SMALLER_SIZE * Math.log2(divisor);
}

/**
 * `a pass at 512×512 takes 4030 ms on ONNX Runtime, 3930 ms on OpenVINO, 2030 ms there in bfloat16`. At a smaller size than the default it also says
 * what decides.
 */
export function timesText(times: MeasuredTimes): string {
  const { width, height, divisor = 1 } = times;
  const { onnxruntime_ms: onnx, openvino_ms: openvino, openvino_bfloat16_ms: bfloat16 } = times;
  const parts = [
    `a pass at ${width}×${height} takes ${Math.round(onnx)} ms on ONNX Runtime`,
    openvino === undefined ? 'longer on OpenVINO' : `${Math.round(openvino)} ms on OpenVINO`,
    ...(bfloat16 === undefined ? [] : [`${Math.round(bfloat16)} ms there in bfloat16`]),
  ];
  const rule = divisor === 1 ? '' : `; at this size OpenVINO must be ${advantage(times)} % faster`;
  return `${parts.join(', ')}${rule}`;
}
