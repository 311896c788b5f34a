/**
 * Which checkpoint to use: the user's folder or file, one of the hub by its id, or the small one that comes with the package. The hub's client is loaded
 * only where a model of the hub is asked for.
 */
import { stat } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isAddress, parseHubAddress } from '../checkpoint/hub/hub-address.ts';
import { type HubId, hubName, parseHubId } from '../checkpoint/hub/hub-id.ts';
import { singleFileName } from '../checkpoint/single-file/single-file-name.ts';
import type { BlobCheck } from '../checkpoint/hub/whole-blob.ts';
import { hubEndpoint, hubEnvironment } from '../config/hub.ts';
import { readProxies } from '../lib/proxies.ts';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { quote } from '../lib/foreign-text.ts';
import type { Logger } from '../observability/logger.ts';
import type { ModelSettings } from './settings.ts';

/** Lies as far above `src/app/` as above `dist/app/`. */
const DEMO_MODEL = fileURLToPath(new URL('../../models/demo', import.meta.url));
/** The health file's age is looked at every half minute or so. */
const ALIVE_MS = 5000;

export interface ModelFolder {
  /** Absolute; a checkpoint of one file is that file. */
  readonly folder: string;
  /** The model's name in images and logs. */
  readonly name: string;
  /** Why this one, where the user did not say. */
  readonly note?: string;
}

/** The events of a download. */
export interface DownloadEvents {
  /** Bytes came, or a wait for another process goes on. */
  readonly onAlive?: () => void;
  readonly onProgress?: (name: string, doneBytes: number, totalBytes: number) => void;
  /** Nothing more comes, however it ended. */
  readonly onEnd?: (name: string) => void;
}

export interface FindModelOptions {
  readonly logger: Logger;
  readonly events?: DownloadEvents;
  /** Looks only, and downloads nothing. */
  readonly cacheOnly?: boolean;
}

/** Fetches what is missing of a model of the hub. @throws `model_not_found`, and what fetching throws */
export async function findModel(settings: ModelSettings, options: FindModelOptions): Promise<ModelFolder> {
  const place = await placeOf(settings);
  if ('folder' in place) return place;
  const folder = await pullModel(settings, place, options).catch((error: unknown) => {
    throw withoutFile(error, place);
  });
  return { folder, name: hubName(place), ...(settings.model === undefined ? { note: 'the default model' } : {}) };
}

/** A path that is mistyped looks like a name on the hub. */
function withoutFile(raw: unknown, place: HubId): Text2ImgError {
  const error = Text2ImgError.from(raw);
  if (error.code !== 'model_not_found' || place.file === undefined) return error;
  const sentence = `${error.message} There is no file ${quote(hubName(place))} on this machine either.`;
  return new Text2ImgError(error.code, sentence, { cause: error });
}

/** Asks nobody and downloads nothing. @throws `model_not_found` where the name is neither a folder nor a name on the hub */
export async function checkModelName(settings: ModelSettings): Promise<void> {
  await placeOf(settings);
}

async function placeOf(settings: ModelSettings): Promise<ModelFolder | HubId> {
  const model = settings.model ?? settings.defaultModel;
  if (model === undefined)
    return { folder: DEMO_MODEL, name: basename(DEMO_MODEL), note: 'the demo checkpoint, since no --model was given' };
  const facts = await stat(model).catch(() => undefined);
  // A path that exists wins over a hub id.
  if (facts?.isDirectory()) return { folder: resolve(model), name: basename(resolve(model)) };
  if (facts !== undefined) return { folder: resolve(model), name: singleFileName(model) };
  const hubId = isAddress(model) ? parseHubAddress(model, hubEndpoint(settings.environment)) : parseHubId(model);
  if (hubId === undefined)
    throw new Text2ImgError(
      'model_not_found',
      `The model ${quote(model)} does not exist. Name the folder of a checkpoint in the diffusers layout, a .safetensors file, or a model of the Hugging Face hub as owner/name or owner/name/file.safetensors.`,
    );
  return hubId;
}

export interface PullOptions extends FindModelOptions {
  /** How well what is in the cache is looked at. */
  readonly check?: BlobCheck;
}

/** @returns the snapshot's folder, or its one file @throws as `fetchCheckpoint` */
export async function pullModel(
  { variant, offline, environment }: Omit<ModelSettings, 'model' | 'defaultModel'>,
  hubId: HubId,
  { logger, events = {}, cacheOnly = false, check = 'size' }: PullOptions,
): Promise<string> {
  const hub = await hubEnvironment(environment);
  const { fetchCheckpoint } = await import('../checkpoint/hub/fetch-checkpoint.ts');
  const { FAMILIES } = await import('../pipelines/registry.ts');
  // Waiting for another process that fetches the same file takes as long as that takes, and every wait in there has an end.
  const alive = setInterval(() => events.onAlive?.(), ALIVE_MS);
  logger.info('looking for the model', { model: hubName(hubId), revision: hubId.revision, cache: hub.cacheFolder });
  try {
    return await fetchCheckpoint(hubId, {
      cacheFolder: hub.cacheFolder,
      access: { endpoint: hub.endpoint, token: hub.token, proxies: readProxies(environment) },
      offline: hub.offline || offline,
      cacheOnly,
      variant,
      families: FAMILIES,
      check,
      logger,
      onProgress: (doneBytes, totalBytes) => {
        events.onAlive?.();
        events.onProgress?.(hubName(hubId), doneBytes, totalBytes);
      },
    });
  } finally {
    clearInterval(alive);
    events.onEnd?.(hubName(hubId));
  }
}
