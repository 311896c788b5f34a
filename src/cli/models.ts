/**
 * `text2img models`: pull a checkpoint from the hub into the cache, list what is there, show one.
 */
import { stat } from 'node:fs/promises';
import { hubEnvironment } from '../config/hub.ts';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { type CachedSnapshot, HubCache } from '../checkpoint/hub/hub-cache.ts';
import { type HubId, parseHubId } from '../checkpoint/hub/hub-id.ts';
import { openCheckpoint } from '../checkpoint/open-checkpoint.ts';
import { proveFit } from '../pipelines/prove-fit.ts';
import { FAMILIES } from '../pipelines/registry.ts';
import { type CommandContext, type ExitCode, printResult } from './command-context.ts';
import { pullModel } from '../app/find-model.ts';
import { downloadBar } from './download-bar.ts';
import { countText } from '../lib/count-text.ts';
import { boundedSentences, excerpt, quote } from '../lib/foreign-text.ts';
import { omitUndefined } from '../lib/omit-undefined.ts';

const CELL_LENGTH = 100;
const ROW_LENGTH = 600;
/** A pipeline has about seven. */
const MAX_COMPONENT_ROWS = 30;

export interface ModelsInvocation {
  /** One of `program.ts`'s actions. */
  readonly action: string;
  readonly id: string;
}

export async function models(context: CommandContext, { action, id }: ModelsInvocation): Promise<ExitCode> {
  switch (action) {
    case 'pull': {
      const hubId = await pulledIdOf(id);
      const { config, environment, logger, terminal } = context;
      const { variant, offline } = config;
      const events = downloadBar(terminal);
      const folder = await pullModel({ variant, offline, environment }, hubId, { logger, events, check: 'digest' });
      printResult(context, { json: { ...hubId, folder }, text: folder });
      return 0;
    }
    case 'show':
      return show(context, await shownIdOf(id));
    default:
      return list(context);
  }
}

/** @throws `invalid_option` */
function hubIdOf(text: string): HubId {
  const hubId = parseHubId(text);
  if (hubId !== undefined) return hubId;
  throw new Text2ImgError(
    'invalid_option',
    `${quote(text)} is no name of a model on the hub; it must be owner/name or owner/name@revision.`,
  );
}

/** @throws `invalid_option`, with another sentence for what lies on this machine already */
async function pulledIdOf(text: string): Promise<HubId> {
  // A folder beside it may well have the name of a model on the hub.
  if (parseHubId(text) !== undefined || !(await isFolder(text))) return hubIdOf(text);
  throw new Text2ImgError(
    'invalid_option',
    `${quote(text)} is a folder of this machine, and only models of the hub can be downloaded. Give the folder to --model.`,
  );
}

async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() === true;
}

/** @throws `invalid_option`, also for a folder, which wins over a hub id as with `--model` */
async function shownIdOf(text: string): Promise<HubId> {
  if (!(await isFolder(text))) return hubIdOf(text);
  throw new Text2ImgError(
    'invalid_option',
    `${quote(text)} is a folder, and only models of the hub can be shown. Check the folder with "text2img doctor --model ${text}".`,
  );
}

async function list(context: CommandContext): Promise<ExitCode> {
  const cache = new HubCache((await hubEnvironment(context.environment)).cacheFolder);
  const snapshots = await cache.list();
  for (const snapshot of snapshots) {
    const state = await stateOf(snapshot, context.config.variant);
    const revision = excerpt([snapshot.commit.slice(0, 10), ...snapshot.refs].join(' '), CELL_LENGTH);
    const text = `${excerpt(snapshot.id, CELL_LENGTH).padEnd(44)} ${revision.padEnd(18)} ${megabytes(snapshot.sizeBytes).padStart(10)}  ${state}`;
    printResult(context, { json: { ...snapshot, state }, text });
  }
  if (!context.config.json) context.terminal.line(`${countText(snapshots.length, 'model', 'models')} in ${cache.root}`);
  return 0;
}

/** Whether its files say that it can be used. No weights are read. */
async function stateOf({ folder }: CachedSnapshot, variant: string | undefined): Promise<string> {
  try {
    proveFit(await openCheckpoint(folder, { families: FAMILIES, ...omitUndefined({ variant }) }));
    return 'ready';
  } catch (error) {
    // The line has little room, and the folder stands in `models show`.
    const message = Text2ImgError.from(error).message.replaceAll(`${folder}/`, '');
    return `not usable: ${excerpt(message, 160)}`;
  }
}

async function show(context: CommandContext, hubId: HubId): Promise<ExitCode> {
  const { variant } = context.config;
  const cache = new HubCache((await hubEnvironment(context.environment)).cacheFolder);
  const commit = await cache.readRef(hubId);
  const snapshot = (await cache.list()).find((one) => one.id === hubId.id && one.commit === commit);
  if (snapshot === undefined)
    throw new Text2ImgError(
      'not_found',
      `The model ${quote(hubId.id)} at revision ${quote(hubId.revision)} is not in the cache ${quote(cache.root)}; "text2img models pull ${hubId.id}" downloads it.`,
    );
  const checkpoint = await openCheckpoint(snapshot.folder, { families: FAMILIES, ...omitUndefined({ variant }) });
  proveFit(checkpoint);
  const { index, scheduler, warnings, family } = checkpoint;
  const facts = {
    ...snapshot,
    pipeline: index.pipelineClass,
    components: index.components,
    scheduler: scheduler.className,
    ...family.describe(checkpoint),
    warnings,
  };
  const rows: readonly (readonly [string, string])[] = [
    ['id', facts.id],
    ['revision', [facts.commit, ...facts.refs].join(' ')],
    ['folder', facts.folder],
    ['size', megabytes(facts.sizeBytes)],
    ['pipeline', facts.pipeline],
    ['scheduler', facts.scheduler],
    ...componentRows(facts.components),
    ...boundedSentences(warnings).map((warning) => ['note', warning] as const),
  ];
  printResult(context, { json: facts, text: rows.map(formatRow) });
  return 0;
}

/** A checkpoint may name as many as it likes. */
function componentRows(components: Readonly<Record<string, string>>): (readonly [string, string])[] {
  const rows = Object.entries(components).map(([name, className]) => [`  ${name}`, className] as const);
  if (rows.length <= MAX_COMPONENT_ROWS) return rows;
  return [...rows.slice(0, MAX_COMPONENT_ROWS), ['  …', `${rows.length - MAX_COMPONENT_ROWS} more`]];
}

/** The folder is never cut: people copy it. */
function formatRow([name, value]: readonly [string, string]): string {
  return `${excerpt(name, CELL_LENGTH).padEnd(24)}${name === 'folder' ? value : excerpt(value, ROW_LENGTH)}`;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1_000_000).toFixed(bytes < 10_000_000 ? 1 : 0)} MB`;
}
