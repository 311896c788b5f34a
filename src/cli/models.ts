/**
 * `text2img models`: pull a checkpoint from the hub into the cache, list what is there, show one.
 */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { hubEndpoint, hubEnvironment } from '../config/hub.ts';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { type CachedModel, modelsIn } from '../checkpoint/hub/cached-models.ts';
import { HubCache } from '../checkpoint/hub/hub-cache.ts';
import { type HubId, hubName, parseHubId } from '../checkpoint/hub/hub-id.ts';
import { openCheckpoint } from '../checkpoint/open-checkpoint.ts';
import { proveFit } from '../pipelines/prove-fit.ts';
import { type CommandContext, type ExitCode, printResult } from './command-context.ts';
import { pullModel } from '../app/pull-model.ts';
import { downloadBar } from './download-bar.ts';
import { hubIdOf, megabytes, openOptions, showModel } from './show-model.ts';
import { countText } from '../lib/count-text.ts';
import { excerpt, quote } from '../lib/foreign-text.ts';

const CELL_LENGTH = 100;

export interface ModelsInvocation {
  /** One of `program.ts`'s actions. */
  readonly action: string;
  readonly id: string;
}

export async function models(context: CommandContext, { action, id }: ModelsInvocation): Promise<ExitCode> {
  switch (action) {
    case 'pull': {
      const hubId = await pulledIdOf(id, hubEndpoint(context.environment));
      const { config, environment, logger, terminal } = context;
      const { variant, offline } = config;
      const events = downloadBar(terminal);
      const folder = await pullModel({ variant, offline, environment }, hubId, { logger, events, check: 'digest' });
      printResult(context, { json: { ...hubId, folder }, text: folder });
      return 0;
    }
    case 'show':
      return showModel(context, id);
    default:
      return list(context);
  }
}

/** @throws `invalid_option`, with another sentence for what lies on this machine already */
async function pulledIdOf(text: string, endpoint: string): Promise<HubId> {
  // A folder beside it may well have the name of a model on the hub.
  const isHere = parseHubId(text) === undefined && (await stat(text).catch(() => undefined)) !== undefined;
  if (!isHere) return hubIdOf(text, endpoint);
  throw new Text2ImgError(
    'invalid_option',
    `${quote(text)} is on this machine, and only models of the hub can be downloaded. Give it to --model.`,
  );
}

async function list(context: CommandContext): Promise<ExitCode> {
  const cache = new HubCache((await hubEnvironment(context.environment)).cacheFolder);
  const found = (await Promise.all((await cache.list()).map(modelsIn))).flat();
  for (const model of found) {
    const state = await stateOf(model, context.config);
    const revision = excerpt([model.commit.slice(0, 10), ...model.refs].join(' '), CELL_LENGTH);
    const text = `${excerpt(hubName(model), CELL_LENGTH).padEnd(44)} ${revision.padEnd(18)} ${megabytes(model.sizeBytes).padStart(10)}  ${state}`;
    printResult(context, { json: { ...model, state }, text });
  }
  if (!context.config.json) context.terminal.line(`${countText(found.length, 'model', 'models')} in ${cache.root}`);
  return 0;
}

/** Whether its files say that it can be used. No weights are read. */
async function stateOf({ folder, file }: CachedModel, config: CommandContext['config']): Promise<string> {
  try {
    proveFit(await openCheckpoint(file === undefined ? folder : join(folder, file), openOptions(config)));
    return 'ready';
  } catch (error) {
    // The line has little room, and the folder stands in `models show`.
    const message = Text2ImgError.from(error).message.replaceAll(`${folder}/`, '');
    return `not usable: ${excerpt(message, 160)}`;
  }
}
