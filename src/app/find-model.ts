/**
 * Which checkpoint to use: the user's folder, one of the hub by its id, or the small one that comes with the package.
 */
import { stat } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fetchCheckpoint } from '../checkpoint/hub/fetch-checkpoint.ts';
import { type HubId, parseHubId } from '../checkpoint/hub/hub-id.ts';
import type { BlobCheck } from '../checkpoint/hub/whole-blob.ts';
import { DEFAULT_PRODUCTION_MODEL, hubEnvironment } from '../config/hub.ts';
import { proxyEnvironment } from '../config/proxies.ts';
import { resolveMode } from '../config/mode.ts';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { quote } from '../lib/foreign-text.ts';
import type { CommandContext } from '../cli/command-context.ts';

/** Lies as far above `src/cli/` as above `dist/cli/`. */
const DEMO_MODEL = fileURLToPath(new URL('../../models/demo', import.meta.url));
const MEGABYTE = 1_000_000;
/** The health file's age is looked at every half minute or so. */
const ALIVE_MS = 5000;

export interface ModelFolder {
  /** Absolute. */
  readonly folder: string;
  /** What pictures and logs call it. */
  readonly name: string;
  /** Why this one, where the user did not say. */
  readonly note?: string;
}

/** Fetches what is missing of a model of the hub. @throws `model_not_found`, and what fetching throws */
export async function findModelFolder(context: CommandContext, onProgress?: () => void): Promise<ModelFolder> {
  const { config } = context;
  const isProduction = resolveMode(config).kind === 'production';
  const model = config.model ?? (isProduction ? DEFAULT_PRODUCTION_MODEL : undefined);
  if (model === undefined)
    return { folder: DEMO_MODEL, name: basename(DEMO_MODEL), note: 'the demo checkpoint, since no --model was given' };
  const facts = await stat(model).catch(() => undefined);
  // A path that exists wins over a hub id.
  if (facts?.isDirectory()) return { folder: resolve(model), name: basename(resolve(model)) };
  const quoted = quote(model);
  if (facts !== undefined)
    throw new Text2ImgError(
      'model_not_found',
      `The model ${quoted} is a file; name the folder of a checkpoint in the diffusers layout.`,
    );
  const hubId = parseHubId(model);
  if (hubId === undefined)
    throw new Text2ImgError(
      'model_not_found',
      `The model ${quoted} does not exist. Name the folder of a checkpoint in the diffusers layout, or a model of the Hugging Face hub as owner/name.`,
    );
  const folder = await pullModel(context, hubId, onProgress === undefined ? {} : { onBytes: onProgress });
  return { folder, name: hubId.id, ...(config.model === undefined ? { note: 'the default model' } : {}) };
}

export interface PullOptions {
  readonly onBytes?: () => void;
  /** How well what is in the cache is looked at. */
  readonly check?: BlobCheck;
}

/** With a progress bar, when there is something to fetch. @returns the snapshot's folder @throws as `fetchCheckpoint` */
export async function pullModel(
  { config, logger, terminal }: CommandContext,
  hubId: HubId,
  { onBytes, check = 'size' }: PullOptions = {},
): Promise<string> {
  const { cacheFolder, endpoint, token, offline } = await hubEnvironment();
  // Waiting for another process that fetches the same file takes as long as that takes, and every wait in there has an end.
  const alive = setInterval(() => onBytes?.(), ALIVE_MS);
  logger.info('looking for the model', { model: hubId.id, revision: hubId.revision, cache: cacheFolder });
  try {
    return await fetchCheckpoint(hubId, {
      cacheFolder,
      access: { endpoint, token, proxies: proxyEnvironment() },
      offline: offline || config.offline,
      variant: config.variant,
      check,
      logger,
      onProgress: (doneBytes, totalBytes) => {
        onBytes?.();
        terminal.progress(hubId.id, {
          label: hubId.id,
          step: Math.round(doneBytes / MEGABYTE),
          steps: Math.max(1, Math.round(totalBytes / MEGABYTE)),
          stage: 'MB',
        });
      },
    });
  } finally {
    clearInterval(alive);
    terminal.endProgress(hubId.id);
  }
}
