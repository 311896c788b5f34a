/** Reads a health file: how old it is, whose it is, and what it says. Without packages, because a container runs `health` every half minute. */
import { stat } from 'node:fs/promises';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { isRecord, own } from '../lib/foreign-record.ts';
import { quote } from '../lib/foreign-text.ts';
import { readPlainFile } from '../lib/plain-file.ts';
import { type HealthWorker, workerIn } from '../observability/health-worker.ts';

const MAX_FILE_BYTES = 65_536;
/** The file may lie on another machine's disk, whose clock differs a little. */
const CLOCK_TOLERANCE_S = 10;
const STATES = ['starting', 'running', 'blocked'] as const;
const ISO_DATE = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z$/;

/** As the health file has it. */
export interface Trouble {
  readonly source: string;
  readonly code: string;
  readonly message: string;
  /** An ISO date with its time, in UTC. */
  readonly since: string;
}

/** As the health file has it. */
interface Engine {
  readonly engine: string;
  readonly device: string | null;
  /** Why it cannot be used; null: it can. */
  readonly problem: string | null;
}

export interface HealthFacts {
  readonly file: string;
  readonly ageSeconds: number;
  /** Undefined in a file of an older version, or in one that is being written. */
  readonly state: (typeof STATES)[number] | undefined;
  readonly worker: HealthWorker | undefined;
  /** The reason why the worker cannot claim. */
  readonly trouble: Trouble | undefined;
  /** Where the worker has several. */
  readonly engines: readonly Engine[];
}

/** @throws `worker_unhealthy` when there is none, and when its time says nothing about its age */
export async function readHealth(file: string): Promise<HealthFacts> {
  const ageSeconds = await ageOf(file);
  const content = await contentOf(file);
  const state = isRecord(content) ? STATES.find((one) => one === own(content, 'state')) : undefined;
  const trouble = isRecord(content) ? readTrouble(own(content, 'trouble')) : undefined;
  const engines = isRecord(content) ? readEngines(own(content, 'engines')) : [];
  return { file, ageSeconds, state, worker: workerIn(content), trouble, engines };
}

async function contentOf(path: string): Promise<unknown> {
  try {
    const text = (await readPlainFile(path, MAX_FILE_BYTES)).toString('utf8');
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** By hand, because a schema's package would cost each health check more than all the rest. */
function readTrouble(value: unknown): Trouble | undefined {
  if (!isRecord(value)) return undefined;
  const { source, code, message, since } = value;
  if (typeof source !== 'string' || typeof code !== 'string' || typeof message !== 'string') return undefined;
  if (typeof since !== 'string' || !ISO_DATE.test(since) || Number.isNaN(Date.parse(since))) return undefined;
  return { source, code, message, since };
}

function readEngines(value: unknown): Engine[] {
  return (Array.isArray(value) ? value : []).flatMap((one: unknown) => {
    if (!isRecord(one)) return [];
    const { engine, device, problem } = one;
    if (typeof engine !== 'string') return [];
    return [{ engine, device: textOrNull(device), problem: textOrNull(problem) }];
  });
}

function textOrNull(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

async function ageOf(path: string): Promise<number> {
  const facts = await stat(path).catch(() => undefined);
  const quoted = quote(path);
  if (facts === undefined)
    throw new Text2ImgError(
      'worker_unhealthy',
      `there is no health file ${quoted}: no worker has started, or it has stopped.`,
    );
  if (!facts.isFile())
    throw new Text2ImgError('worker_unhealthy', `the health file ${quoted} is no plain file: no worker writes it.`);
  const ageSeconds = (Date.now() - facts.mtimeMs) / 1000;
  if (ageSeconds < -CLOCK_TOLERANCE_S)
    throw new Text2ImgError(
      'worker_unhealthy',
      `the health file ${quoted} is dated ${(-ageSeconds).toFixed(0)} s in the future, so its age is unknown; a running worker corrects it within seconds.`,
    );
  return Math.max(0, ageSeconds);
}
