/** `text2img doctor`: checks this machine and suggests fixes. */
import { existsSync } from 'node:fs';
import { access, constants, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { DEFAULT_PRODUCTION_MODEL } from '../config/hub.ts';
import { type Mode, resolveMode } from '../config/mode.ts';
import { probeMachine, type DoctorFinding } from '../engine/doctor-probes.ts';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { messageOf } from '../lib/disk-errors.ts';
import { boundedSentences, excerpt, quote } from '../lib/foreign-text.ts';
import { omitUndefined } from '../lib/omit-undefined.ts';
import type { CommandContext, ExitCode } from './command-context.ts';
import { adviceFor, type DoctorTopic } from './doctor-advice.ts';
import { jsonLine } from './json-output.ts';
import { engineEnvironment } from '../app/engine-environment.ts';
import { findModel } from '../app/find-model.ts';
import { openQueue } from '../app/open-queue.ts';
import { openStore } from '../app/open-store.ts';
import { modelSettings, queueSettings, storeSettings } from '../app/settings.ts';

const MARKS = { ok: '✓', missing: '–', problem: '✗' } as const;

/** Of one finding; a path and some notes fit. */
const DETAIL_LENGTH = 2000;

/** Exits with 5 if it finds a problem. */
export async function doctor(context: CommandContext): Promise<ExitCode> {
  const { terminal, config, environment, logger } = context;
  const mode = resolvedOnce(context);
  const probe = (topic: DoctorTopic, look: (mode: Mode) => Promise<string>): Promise<DoctorFinding> =>
    probeTopic(topic, mode, look);
  const findings = [
    { name: 'node', status: 'ok', detail: `${process.versions.node} (${process.execPath})` } as const,
    ...(await probeMachine(engineEnvironment(environment))),
    await probe('model', async (mode) => inspectModel(context, mode)),
    await probe('queue', async (mode) => {
      await using queue = await openQueue(queueSettings(config, mode), { logger, looksOnly: true });
      const { pending, processing, completed, error } = await queue.counts();
      return `${queue.description}: ${pending} pending, ${processing} processing, ${completed} completed, ${error} in error`;
    }),
    await probe('prompts', async (mode) => {
      await using queue = await openQueue(queueSettings(config, mode), { logger, looksOnly: true });
      const stuck = await queue.stuck();
      if (stuck.length > 0) throw new Text2ImgError('invalid_document', `no worker can claim: ${stuck.join('; ')}.`);
      return 'every pending prompt can be claimed';
    }),
    await probe('store', async (mode) => inspectStore({ ...context, mode })),
  ];
  if (config.json) terminal.result(jsonLine({ findings }));
  else for (const lines of [...findings.map(format), summary(findings)]) terminal.result(lines);
  return findings.some(({ status }) => status === 'problem') ? 5 : 0;
}

/** A conflict is named under each finding that it stands in the way of, instead of ending the list. */
function resolvedOnce({ config, environment }: CommandContext): () => Mode {
  let mode: Mode | undefined;
  return () => (mode ??= resolveMode(config, environment));
}

/** Reads everything but the weights themselves. */
async function inspectModel({ config, environment, logger }: CommandContext, mode: Mode): Promise<string> {
  const { variant } = config;
  const defaultModel = mode.kind === 'production' ? DEFAULT_PRODUCTION_MODEL : undefined;
  const settings = modelSettings(config, { defaultModel, environment });
  // Looking must not fetch gigabytes.
  const { folder } = await findModel(settings, { logger, cacheOnly: true });
  const { openCheckpoint } = await import('../checkpoint/open-checkpoint.ts');
  const { proveFit } = await import('../pipelines/prove-fit.ts');
  const { FAMILIES } = await import('../pipelines/registry.ts');
  const checkpoint = await openCheckpoint(folder, { families: FAMILIES, ...omitUndefined({ variant }) });
  proveFit(checkpoint);
  const notes = checkpoint.warnings.length === 0 ? '' : `; ${boundedSentences(checkpoint.warnings).join(' ')}`;
  return `${folder}: ${checkpoint.index.pipelineClass}, ${checkpoint.scheduler.className}${notes}`;
}

/** Writes a probe, but makes no folder: looking must not leave anything behind. */
async function inspectStore(context: CommandContext & { readonly mode: Mode }): Promise<string> {
  const folder =
    context.mode.kind === 'embedded' ? folderOfImages(context.mode.dataDir, context.config.gcsPrefix) : undefined;
  if (folder !== undefined && !existsSync(folder)) {
    await proveFolder(nearestThing(folder));
    return `${quote(folder, 300)} does not exist yet; the first image makes it`;
  }
  await using opened = await openStore(storeSettings(context.config, context), context);
  await opened.store.check();
  return `${opened.store.description} can be written`;
}

function folderOfImages(dataDir: string, prefix: string): string {
  return resolve(dataDir, prefix.slice(0, prefix.lastIndexOf('/') + 1));
}

/** What exists at `path`, or nearest above it. */
function nearestThing(path: string): string {
  return existsSync(path) || dirname(path) === path ? path : nearestThing(dirname(path));
}

/** @throws `store_unwritable` where no folder can be made in it */
async function proveFolder(path: string): Promise<void> {
  const facts = await stat(path);
  if (!facts.isDirectory()) throw new Text2ImgError('store_unwritable', `${quote(path, 300)} is no folder.`);
  await access(path, constants.W_OK).catch((error: unknown) => {
    throw new Text2ImgError('store_unwritable', `${quote(path, 300)} cannot be written: ${messageOf(error)}.`);
  });
}

async function probeTopic(
  topic: DoctorTopic,
  modeOf: () => Mode,
  look: (mode: Mode) => Promise<string>,
): Promise<DoctorFinding> {
  let kind: Mode['kind'] | undefined;
  try {
    const mode = modeOf();
    kind = mode.kind;
    return { name: topic, status: 'ok', detail: await look(mode) };
  } catch (error) {
    const { message, code } = Text2ImgError.from(error);
    const advice = adviceFor(topic, code, kind);
    return { name: topic, status: 'problem', detail: `${message} [${code}]`, ...omitUndefined({ advice }) };
  }
}

/** What the list above it comes to. */
function summary(findings: readonly DoctorFinding[]): readonly string[] {
  const problems = findings.filter(({ status }) => status === 'problem').map(({ name }) => name);
  return ['', problems.length === 0 ? 'No problems found.' : `Problems found: ${problems.join(', ')}.`];
}

function format({ name, status, detail, advice }: DoctorFinding): readonly string[] {
  const line = `${MARKS[status]} ${name.padEnd(16)} ${excerpt(detail, DETAIL_LENGTH)}`;
  return advice === undefined || status === 'ok' ? [line] : [line, `  ${' '.repeat(16)} → ${advice}`];
}
