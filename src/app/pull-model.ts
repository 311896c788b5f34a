/** Finds a folder or a file of this machine by the name that the user gave, or pulls it from the hub into the cache. */
import { stat } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import type { HubComponent } from '../checkpoint/hub/component-files.ts';
import { isAddress, parseHubAddress } from '../checkpoint/hub/hub-address.ts';
import { type HubId, hubName, parseHubId } from '../checkpoint/hub/hub-id.ts';
import type { BlobCheck } from '../checkpoint/hub/whole-blob.ts';
import { singleFileName } from '../checkpoint/single-file/single-file-name.ts';
import { hubEndpoint, hubEnvironment } from '../config/hub.ts';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { quote } from '../lib/foreign-text.ts';
import { omitUndefined } from '../lib/omit-undefined.ts';
import { readProxies } from '../lib/proxies.ts';
import type { Logger } from '../observability/logger.ts';
import type { ModelSettings } from './settings.ts';

/** The health file's age is looked at every half minute or so. */
const ALIVE_MS = 5000;

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

export interface NamedPlace {
  /** Absolute; a checkpoint of one file is that file. */
  readonly folder: string;
  /** In images and logs. */
  readonly name: string;
}

interface NamedThing {
  readonly environment: ModelSettings['environment'];
  /** For the error: `The model`. */
  readonly what: string;
  readonly allowed: string;
}

/** @throws `model_not_found` for what is neither a folder, a file nor a name on the hub */
export async function placeNamed(
  name: string,
  { environment, what, allowed }: NamedThing,
): Promise<NamedPlace | HubId> {
  const facts = await stat(name).catch(() => undefined);
  // A path that exists wins over a hub id.
  if (facts?.isDirectory()) return { folder: resolve(name), name: basename(resolve(name)) };
  if (facts !== undefined) return { folder: resolve(name), name: singleFileName(name) };
  const hubId = isAddress(name) ? parseHubAddress(name, hubEndpoint(environment)) : parseHubId(name);
  if (hubId !== undefined) return hubId;
  throw new Text2ImgError('model_not_found', `${what} ${quote(name)} does not exist. ${allowed}`);
}

export interface PullOptions extends FindModelOptions {
  /** How well what is in the cache is looked at. */
  readonly check?: BlobCheck;
  /** Only this network of it. */
  readonly component?: HubComponent;
}

/** @returns the snapshot's folder, or its one file @throws as `fetchCheckpoint` */
export async function pullModel(
  { variant, offline, environment }: Omit<ModelSettings, 'model' | 'defaultModel' | 'vae'>,
  hubId: HubId,
  { logger, events = {}, cacheOnly = false, check = 'size', component }: PullOptions,
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
      ...omitUndefined({ component }),
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
