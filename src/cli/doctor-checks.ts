/** The checks of `text2img doctor` beside the machine: the model, the store, the webhook. */
import { existsSync } from 'node:fs';
import { access, constants, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { DEFAULT_PRODUCTION_MODEL } from '../config/hub.ts';
import type { Mode } from '../config/mode.ts';
import { nameInUse } from '../config/parse.ts';
import type { DoctorFinding } from '../engine/doctor-probes.ts';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { messageOf } from '../lib/disk-errors.ts';
import { boundedSentences, quote } from '../lib/foreign-text.ts';
import { omitUndefined } from '../lib/omit-undefined.ts';
import { readProxies } from '../lib/proxies.ts';
import type { Family } from '../pipelines/family.ts';
import type { CommandContext } from './command-context.ts';
import type { ModelNeeds } from './doctor-memory.ts';
import { findModel } from '../app/find-model.ts';
import { openStore } from '../app/open-store.ts';
import { modelSettings, storeSettings } from '../app/settings.ts';

export interface InspectedModel extends ModelNeeds {
  readonly detail: string;
}

/** Reads everything but the weights themselves. */
export async function inspectModel(
  { config, environment, logger }: CommandContext,
  mode: Mode,
): Promise<InspectedModel> {
  const { variant } = config;
  const defaultModel = mode.kind === 'production' ? DEFAULT_PRODUCTION_MODEL : undefined;
  const settings = modelSettings(config, { defaultModel, environment });
  // Looking must not fetch gigabytes.
  const { folder, vae, predictionType } = await findModel(settings, { logger, cacheOnly: true });
  const { openCheckpoint } = await import('../checkpoint/open-checkpoint.ts');
  const { proveFit } = await import('../pipelines/prove-fit.ts');
  const { FAMILIES } = await import('../pipelines/registry.ts');
  const { needsAtDefaultSize } = await import('../pipelines/memory-need.ts');
  const checkpoint = await openCheckpoint(folder, {
    families: FAMILIES,
    ...omitUndefined({ variant, predictionType, vae: vae?.path }),
  });
  proveFit(checkpoint);
  const notes = checkpoint.warnings.length === 0 ? '' : `; ${boundedSentences(checkpoint.warnings).join(' ')}`;
  const replaced = vae === undefined ? '' : `, the autoencoder ${quote(vae.name)}`;
  const family: Family = checkpoint.family;
  const { defaultWidthPx: widthPx, defaultHeightPx: heightPx } = family.facts(checkpoint);
  return {
    detail: `${folder}: ${checkpoint.index.pipelineClass}, ${checkpoint.scheduler.className}${replaced}${notes}`,
    needs: needsAtDefaultSize(checkpoint, { computeType: 'float32', weightType: config.weights }),
    ...(config.weights === 'int8'
      ? {}
      : { eightBitNeeds: needsAtDefaultSize(checkpoint, { computeType: 'float32', weightType: 'int8' }) }),
    widthPx,
    heightPx,
  };
}

/** Writes a probe, but makes no folder: looking must not leave anything behind. */
export async function inspectStore(context: CommandContext & { readonly mode: Mode }): Promise<string> {
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

/** `path` if it exists, else the nearest path above it that exists. */
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

/** Sends nothing: a receiver would take it for a job's. */
export async function inspectWebhook({ config, environment }: CommandContext): Promise<DoctorFinding> {
  const name = 'webhook';
  const { callbackUrl } = config;
  if (callbackUrl === undefined) return { name, status: 'missing', detail: 'CALLBACK_URL is not set' };
  const { reachWebhook } = await import('../webhook/reach.ts');
  const { isReached, tried } = await reachWebhook(callbackUrl, readProxies(environment));
  if (isReached) return { name, status: 'ok', detail: tried };
  const advice = `start the receiver, or correct ${nameInUse(config, 'callbackUrl')}; this machine must reach its host and port`;
  return { name, status: 'problem', detail: tried, advice };
}
