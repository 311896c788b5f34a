/** `text2img doctor`: what was found on this machine, and what to do about what was not. */
import { existsSync } from 'node:fs';
import { access, constants, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { resolveMode } from '../config/mode.ts';
import { probeMachine, type DoctorFinding } from '../engine/doctor-probes.ts';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { messageOf } from '../lib/disk-errors.ts';
import { boundedSentences, excerpt, quote } from '../lib/foreign-text.ts';
import { type CommandContext, type ExitCode } from './command-context.ts';
import { engineEnvironment } from '../app/engine-environment.ts';
import { findModelFolder } from '../app/find-model.ts';
import { openQueue, openStore } from '../app/open-queue.ts';

const MARKS = { ok: '✓', missing: '–', problem: '✗' } as const;

/** Of one finding; a path and some notes fit. */
const DETAIL_LENGTH = 2000;

/** Exits with 5 when something stands in the way of drawing. */
export async function doctor(context: CommandContext): Promise<ExitCode> {
  const { terminal, config } = context;
  const findings = [
    { name: 'node', status: 'ok', detail: `${process.versions.node} (${process.execPath})` } as const,
    ...(await probeMachine(engineEnvironment())),
    await probe('model', 'fetch it with "text2img models pull", or name another one with --model', async () =>
      inspectModel(context),
    ),
    await probe('queue', 'choose another --data-dir', async () => {
      await using queue = openQueue(context, { looksOnly: true });
      const { pending, processing, completed, error } = await queue.counts();
      return `${queue.description}: ${pending} pending, ${processing} processing, ${completed} completed, ${error} in error`;
    }),
    await probe('prompts', 'make them smaller, or let the validator pass them', async () => {
      await using queue = openQueue(context, { looksOnly: true });
      const stuck = await queue.stuck();
      if (stuck.length > 0) throw new Text2ImgError('invalid_document', `no worker can claim: ${stuck.join('; ')}.`);
      return 'every pending prompt can be claimed';
    }),
    await probe('store', 'choose another --data-dir, or free some space', async () => inspectStore(context)),
  ];
  if (config.json) terminal.result(JSON.stringify({ findings }));
  else for (const finding of findings) terminal.result(format(finding));
  return findings.some(({ status }) => status === 'problem') ? 5 : 0;
}

/** Reads everything but the weights themselves. */
async function inspectModel(context: CommandContext): Promise<string> {
  const { variant } = context.config;
  // Looking must not fetch gigabytes.
  const { folder } = await findModelFolder({ ...context, config: { ...context.config, offline: true } });
  const { openCheckpoint } = await import('../checkpoint/open-checkpoint.ts');
  const { proveFit } = await import('../pipelines/stable-diffusion/prove-fit.ts');
  const checkpoint = await openCheckpoint(folder, variant === undefined ? {} : { variant });
  proveFit(checkpoint);
  const notes = checkpoint.warnings.length === 0 ? '' : `; ${boundedSentences(checkpoint.warnings).join(' ')}`;
  return `${folder}: ${checkpoint.index.pipelineClass}, ${checkpoint.scheduler.className}${notes}`;
}

/** Writes a probe, but makes no folder: looking must not leave anything behind. */
async function inspectStore(context: CommandContext): Promise<string> {
  const mode = resolveMode(context.config);
  const folder = mode.kind === 'embedded' ? folderOfImages(mode.dataDir, context.config.gcsPrefix) : undefined;
  if (folder !== undefined && !existsSync(folder)) {
    await proveFolder(nearestThing(folder));
    return `${quote(folder, 300)} does not exist yet; the first image makes it`;
  }
  await using opened = openStore(context);
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

async function probe(name: string, advice: string, look: () => Promise<string>): Promise<DoctorFinding> {
  try {
    return { name, status: 'ok', detail: await look() };
  } catch (error) {
    const { message, code } = Text2ImgError.from(error);
    return { name, status: 'problem', detail: `${message} [${code}]`, advice };
  }
}

function format({ name, status, detail, advice }: DoctorFinding): readonly string[] {
  const line = `${MARKS[status]} ${name.padEnd(16)} ${excerpt(detail, DETAIL_LENGTH)}`;
  return advice === undefined || status === 'ok' ? [line] : [line, `  ${' '.repeat(16)} → ${advice}`];
}
