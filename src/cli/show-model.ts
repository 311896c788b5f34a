/** `text2img models show`: the facts of a model in the hub's cache, or of a checkpoint that is one file. */
import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { placeNamed } from '../app/pull-model.ts';
import { modelsIn, type CachedModel } from '../checkpoint/hub/cached-models.ts';
import { isAddress, parseHubAddress } from '../checkpoint/hub/hub-address.ts';
import { HubCache } from '../checkpoint/hub/hub-cache.ts';
import { type HubId, hubName, parseHubId } from '../checkpoint/hub/hub-id.ts';
import { specialFile } from '../checkpoint/model-index.ts';
import { openCheckpoint, type OpenCheckpointOptions } from '../checkpoint/open-checkpoint.ts';
import { hubEnvironment } from '../config/hub.ts';
import type { Config } from '../config/options.ts';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { boundedSentences, excerpt, quote } from '../lib/foreign-text.ts';
import { omitUndefined } from '../lib/omit-undefined.ts';
import { proveFit } from '../pipelines/prove-fit.ts';
import { FAMILIES } from '../pipelines/registry.ts';
import { shownSettings } from '../schedulers/shown-settings.ts';
import { type CommandContext, type ExitCode, printResult } from './command-context.ts';
import { onlyPredictionType } from '../config/options/prediction-type.ts';
import { showFile } from './show-file.ts';

const CELL_LENGTH = 100;
const ROW_LENGTH = 600;
/** A pipeline has about seven. */
const MAX_COMPONENT_ROWS = 30;

type Row = readonly [name: string, value: string];

export function openOptions({
  variant,
  predictionType,
}: Pick<Config, 'variant' | 'predictionType'>): OpenCheckpointOptions<(typeof FAMILIES)[number]> {
  return { families: FAMILIES, ...omitUndefined({ variant, predictionType: onlyPredictionType(predictionType) }) };
}

const ALLOWED =
  'Name a .safetensors file, or a model of the Hugging Face hub as owner/name or owner/name/file.safetensors.';

/** @param text a file, or a name on the hub @throws `invalid_option`, `not_found`, `model_not_found` and as `openCheckpoint` */
export async function showModel(context: CommandContext, text: string): Promise<ExitCode> {
  const { environment } = context;
  const place = await placeNamed(text, { environment, what: 'The model', allowed: ALLOWED });
  // A file or a folder wins over a hub id, as with `--model`.
  const facts = 'folder' in place ? await stat(place.folder) : undefined;
  if (facts?.isDirectory() === true)
    throw new Text2ImgError(
      'invalid_option',
      `${quote(text)} is a folder, and only models of the hub and single files can be shown. Check the folder with "text2img doctor --model ${text}".`,
    );
  if (facts?.isFile() === false) throw specialFile(resolve(text));
  if ('folder' in place) return await showOneFile(context, place.folder, []);
  const model = await cachedModel(context, place);
  const { file, folder } = model;
  return file === undefined
    ? await showSnapshot(context, model)
    : await showOneFile(context, join(folder, file), [['id', hubName(model)], revisionRow(model)]);
}

/** @throws `invalid_option` */
export function hubIdOf(text: string, endpoint: string): HubId {
  const hubId = isAddress(text) ? parseHubAddress(text, endpoint) : parseHubId(text);
  if (hubId !== undefined) return hubId;
  throw new Text2ImgError(
    'invalid_option',
    `${quote(text)} is no name of a model on the hub; it must be owner/name, owner/name@revision or owner/name/file.safetensors.`,
  );
}

/** @throws `not_found` */
async function cachedModel(context: CommandContext, hubId: HubId): Promise<CachedModel> {
  const cache = new HubCache((await hubEnvironment(context.environment)).cacheFolder);
  const commit = await cache.readRef(hubId);
  const snapshot = (await cache.list()).find((one) => one.id === hubId.id && one.commit === commit);
  const { file } = hubId;
  if (snapshot !== undefined && file === undefined) return snapshot;
  const found = snapshot === undefined ? undefined : (await modelsIn(snapshot)).find((one) => one.file === file);
  if (found !== undefined) return found;
  throw new Text2ImgError(
    'not_found',
    `The model ${quote(hubName(hubId))} at revision ${quote(hubId.revision)} is not in the cache ${quote(cache.root)}; "text2img models pull ${hubName(hubId)}" downloads it.${file === undefined ? '' : ` There is no file ${quote(hubName(hubId))} on this machine either.`}`,
  );
}

async function showOneFile(context: CommandContext, path: string, first: readonly Row[]): Promise<ExitCode> {
  const { facts, rows, warnings } = await showFile(path, openOptions(context.config));
  const shown: readonly Row[] = [
    ...first,
    ['file', String(facts['file'])],
    ['size', megabytes(Number(facts['sizeBytes']))],
    ...rows,
    ...noteRows(warnings),
  ];
  const named = Object.fromEntries(first.filter(([name]) => name === 'id'));
  printResult(context, { json: { ...named, ...facts, warnings }, text: shown.map(formatRow) });
  return 0;
}

async function showSnapshot(context: CommandContext, snapshot: CachedModel): Promise<ExitCode> {
  const checkpoint = await openCheckpoint(snapshot.folder, openOptions(context.config));
  proveFit(checkpoint);
  const { index, scheduler, warnings, family } = checkpoint;
  const { prediction, stated, text: settings } = shownSettings(scheduler.className, scheduler.config);
  const facts = {
    ...snapshot,
    pipeline: index.pipelineClass,
    components: index.components,
    prediction,
    scheduler: scheduler.className,
    schedulerConfig: stated,
    ...family.describe(checkpoint),
    warnings,
  };
  const rows: readonly Row[] = [
    ['id', facts.id],
    revisionRow(snapshot),
    ['folder', facts.folder],
    ['size', megabytes(facts.sizeBytes)],
    ['pipeline', facts.pipeline],
    ['prediction', prediction],
    ['scheduler', facts.scheduler],
    ['scheduler settings', settings],
    ...componentRows(facts.components),
    ...noteRows(warnings),
  ];
  printResult(context, { json: facts, text: rows.map(formatRow) });
  return 0;
}

function revisionRow({ commit, refs }: CachedModel): Row {
  return ['revision', [commit, ...refs].join(' ')];
}

function noteRows(warnings: readonly string[]): readonly Row[] {
  return boundedSentences(warnings).map((warning) => ['note', warning] as const);
}

/** A checkpoint may name as many as it likes. */
function componentRows(components: Readonly<Record<string, string>>): Row[] {
  const rows = Object.entries(components).map(([name, className]) => [`  ${name}`, className] as const);
  if (rows.length <= MAX_COMPONENT_ROWS) return rows;
  return [...rows.slice(0, MAX_COMPONENT_ROWS), ['  …', `${rows.length - MAX_COMPONENT_ROWS} more`]];
}

/** A path is never cut: people copy it. */
function formatRow([name, value]: Row): string {
  const isPath = name === 'folder' || name === 'file';
  return `${excerpt(name, CELL_LENGTH).padEnd(24)}${isPath ? value : excerpt(value, ROW_LENGTH)}`;
}

export function megabytes(bytes: number): string {
  return `${(bytes / 1_000_000).toFixed(bytes < 10_000_000 ? 1 : 0)} MB`;
}
