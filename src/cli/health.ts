/** `text2img health`: whether the worker of this machine is alive, by the age of its heartbeat file, and what keeps it from claiming. For a container's health check. */
import { stat } from 'node:fs/promises';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { isRecord } from '../lib/foreign-record.ts';
import { excerpt, quote } from '../lib/foreign-text.ts';
import { readPlainFile } from '../lib/plain-file.ts';
import { omitUndefined } from '../lib/omit-undefined.ts';
import type { Config } from '../config/options.ts';
import { type ExitCode, printResult } from './command-context.ts';
import type { Terminal } from './terminal.ts';

const MAX_WITHOUT_ENGINE_S = 300;
const MAX_FILE_BYTES = 65_536;
const SENTENCE_LENGTH = 400;

/** As the health file has it. */
interface Trouble {
  readonly source: string;
  readonly code: string;
  readonly message: string;
  /** An ISO date with its time, in UTC. */
  readonly since: string;
}

/** The file may lie on another machine's disk, whose clock differs a little. */
const CLOCK_TOLERANCE_S = 10;

export interface HealthContext {
  readonly config: Pick<Config, 'heartbeatFile' | 'maxAge' | 'json'>;
  readonly terminal: Terminal;
}

/** @throws `conflicting_options`, `worker_unhealthy` */
export async function health(context: HealthContext): Promise<ExitCode> {
  const { heartbeatFile, maxAge } = context.config;
  if (heartbeatFile === undefined)
    throw new Text2ImgError('conflicting_options', "health needs --heartbeat-file, the same as the worker's.");
  const ageSeconds = await ageOf(heartbeatFile);
  if (ageSeconds > maxAge)
    throw new Text2ImgError(
      'worker_unhealthy',
      `the health file ${quote(heartbeatFile)} is ${ageSeconds.toFixed(0)} s old; allowed are ${maxAge} s.`,
    );
  const trouble = await troubleIn(heartbeatFile);
  if (trouble?.source === 'engine') refuseLongWithoutEngine(trouble);
  const text = `healthy, ${ageSeconds.toFixed(0)} s ago`;
  printResult(context, {
    json: { healthy: true, ageSeconds, ...omitUndefined({ trouble }) },
    text: trouble === undefined ? text : `${text}; nothing is claimed since ${trouble.since}: ${excerptOf(trouble)}`,
  });
  return 0;
}

/** @throws `worker_unhealthy`: a new start may help an engine, unlike a store or a queue that refuses */
function refuseLongWithoutEngine(trouble: Trouble): void {
  const seconds = (Date.now() - Date.parse(trouble.since)) / 1000;
  if (seconds <= MAX_WITHOUT_ENGINE_S) return;
  throw new Text2ImgError(
    'worker_unhealthy',
    `the worker has no engine since ${trouble.since}; allowed are ${MAX_WITHOUT_ENGINE_S} s: ${excerptOf(trouble)}`,
  );
}

function excerptOf({ code, message }: Trouble): string {
  return `${excerpt(message, SENTENCE_LENGTH)} [${excerpt(code, SENTENCE_LENGTH)}]`;
}

/** What the worker wrote about what keeps it from claiming; undefined for nothing, and for a file of an older version. */
async function troubleIn(path: string): Promise<Trouble | undefined> {
  try {
    const text = (await readPlainFile(path, MAX_FILE_BYTES)).toString('utf8');
    const content: unknown = JSON.parse(text);
    return isRecord(content) ? readTrouble(content['trouble']) : undefined;
  } catch {
    return undefined;
  }
}

const ISO_DATE = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z$/;

/** By hand, because a schema's package would cost each health check more than all the rest. */
function readTrouble(value: unknown): Trouble | undefined {
  if (!isRecord(value)) return undefined;
  const { source, code, message, since } = value;
  if (typeof source !== 'string' || typeof code !== 'string' || typeof message !== 'string') return undefined;
  if (typeof since !== 'string' || !ISO_DATE.test(since) || Number.isNaN(Date.parse(since))) return undefined;
  return { source, code, message, since };
}

/** @throws `worker_unhealthy` when there is none, and when its time says nothing about its age */
async function ageOf(path: string): Promise<number> {
  const facts = await stat(path).catch(() => undefined);
  const quoted = quote(path);
  if (facts === undefined)
    throw new Text2ImgError('worker_unhealthy', `there is no health file ${quoted}: no worker has started.`);
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
