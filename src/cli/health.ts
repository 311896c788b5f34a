/** `text2img health`: whether this machine's workers are alive, by the age of their health files, and what keeps them from claiming. For a container's health check. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { excerpt, quote } from '../lib/foreign-text.ts';
import { omitUndefined } from '../lib/omit-undefined.ts';
import type { Config } from '../config/options.ts';
import {
  defaultHealthFolder,
  hasEnded,
  isDefaultHealthFile,
  mayTrustHealthFolder,
} from '../observability/health-worker.ts';
import { type ExitCode, printResult } from './command-context.ts';
import { type HealthFacts, readHealth, type Trouble } from './read-health.ts';
import type { Terminal } from './terminal.ts';

const MAX_WITHOUT_ENGINE_S = 300;
const SENTENCE_LENGTH = 400;
const MAX_NAMED_ENGINES = 4;
const NAME_LENGTH = 40;
/** More workers than a machine bears. */
const MAX_FILES = 1000;

export interface HealthContext {
  readonly config: Pick<Config, 'heartbeatFile' | 'maxAge' | 'json'>;
  readonly terminal: Terminal;
}

/** @throws `worker_unhealthy` */
export async function health(context: HealthContext): Promise<ExitCode> {
  const { heartbeatFile, maxAge } = context.config;
  if (heartbeatFile === undefined) return allWorkers(context);
  const facts = await readHealth(heartbeatFile);
  checkAge(facts, maxAge);
  if (isStale(facts)) throw new Text2ImgError('worker_unhealthy', `${staleText(facts)}.`);
  checkEngine(facts);
  const { ageSeconds, state, worker, trouble, engines } = facts;
  printResult(context, {
    json: {
      healthy: true,
      ageSeconds,
      ...omitUndefined({ state, pid: worker?.pid, trouble, engines: severalOf(engines) }),
    },
    text: healthyText(facts),
  });
  return 0;
}

/** All workers of this user that were given no file. One that is unwell is enough to fail. */
async function allWorkers(context: HealthContext): Promise<ExitCode> {
  const found = await readAll();
  const stale = found.filter(isStale);
  const living = found.filter((facts) => !isStale(facts));
  if (living.length === 0) throw noWorker(stale);
  for (const facts of living) {
    checkAge(facts, context.config.maxAge);
    checkEngine(facts);
  }
  printResult(context, {
    json: {
      healthy: true,
      workers: living.map(jsonOf),
      stale: stale.map(({ file, worker }) => ({ file, pid: worker?.pid })),
    },
    text: [
      ...living.map((facts) => `${nameOf(facts)}: ${healthyText(facts)}`),
      ...stale.map((facts) => staleText(facts)),
    ],
  });
  return 0;
}

async function readAll(): Promise<readonly HealthFacts[]> {
  const folder = defaultHealthFolder();
  const names = mayTrustHealthFolder() ? await readdir(folder) : [];
  const found: HealthFacts[] = [];
  for (const name of names.filter(isDefaultHealthFile).toSorted().slice(0, MAX_FILES)) {
    const path = join(folder, name);
    try {
      found.push(await readHealth(path));
    } catch (error) {
      // Its worker stopped just now.
      if ((await readdir(folder)).includes(name)) throw error;
    }
  }
  return found;
}

function noWorker(stale: readonly HealthFacts[]): Text2ImgError {
  const [first] = stale;
  return new Text2ImgError(
    'worker_unhealthy',
    first === undefined
      ? `no worker runs: there is no health file in ${quote(defaultHealthFolder())}. For a worker with --heartbeat-file give the same file.`
      : `no worker runs: ${staleText(first)}${stale.length === 1 ? '' : `, and ${stale.length - 1} more`}.`,
  );
}

/** Its worker was killed, so nobody removed it. */
function isStale({ worker }: HealthFacts): boolean {
  return worker !== undefined && hasEnded(worker);
}

function staleText({ file, worker }: HealthFacts): string {
  return `the health file ${quote(file)} is stale: its worker, process ${worker?.pid ?? '?'}, has ended`;
}

/** @throws `worker_unhealthy` */
function checkAge({ file, ageSeconds }: HealthFacts, maxAge: number): void {
  if (ageSeconds <= maxAge) return;
  throw new Text2ImgError(
    'worker_unhealthy',
    `the health file ${quote(file)} is ${ageSeconds.toFixed(0)} s old; allowed are ${maxAge} s.`,
  );
}

/** @throws `worker_unhealthy`: a new start may help an engine, unlike a store or a queue that refuses */
function checkEngine({ trouble }: HealthFacts): void {
  if (trouble?.source !== 'engine') return;
  const seconds = (Date.now() - Date.parse(trouble.since)) / 1000;
  if (seconds <= MAX_WITHOUT_ENGINE_S) return;
  throw new Text2ImgError(
    'worker_unhealthy',
    `the worker has no engine since ${trouble.since}; allowed are ${MAX_WITHOUT_ENGINE_S} s: ${excerptOf(trouble)}`,
  );
}

function healthyText({ ageSeconds, trouble, engines }: HealthFacts): string {
  const left = engines.filter(({ problem }) => problem !== null).slice(0, MAX_NAMED_ENGINES);
  const without = left.map(
    ({ engine, device, problem }) =>
      `; ${excerpt(engine, NAME_LENGTH)} (${excerpt(device ?? 'not started', NAME_LENGTH)}) cannot be used: ${excerpt(problem ?? '', SENTENCE_LENGTH)}`,
  );
  const text = `healthy, ${ageSeconds.toFixed(0)} s ago${without.join('')}`;
  return trouble === undefined ? text : `${text}; nothing is claimed since ${trouble.since}: ${excerptOf(trouble)}`;
}

function nameOf({ worker, state }: HealthFacts): string {
  return `worker ${worker?.pid ?? '?'} (${state ?? 'unknown state'})`;
}

/** A worker with one engine lists none. */
function severalOf(engines: HealthFacts['engines']): HealthFacts['engines'] | undefined {
  return engines.length === 0 ? undefined : engines;
}

function jsonOf({ file, ageSeconds, state, worker, trouble, engines }: HealthFacts): unknown {
  const known = { pid: worker?.pid, state, trouble, engines: severalOf(engines) };
  return { file, age_seconds: ageSeconds, ...omitUndefined(known) };
}

function excerptOf({ code, message }: Trouble): string {
  return `${excerpt(message, SENTENCE_LENGTH)} [${excerpt(code, SENTENCE_LENGTH)}]`;
}
