/** Options of `run` that need or exclude each other. The other commands find out when they open the queue. */
import { availableParallelism } from 'node:os';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { countText } from '../lib/count-text.ts';
import type { Environment } from './environment.ts';
import { emulatorEndpoint } from './google.ts';
import type { Mode } from './mode.ts';
import type { Config } from './options.ts';
import { nameInUse } from './parse.ts';

export interface Together {
  readonly mode: Mode;
  readonly environment: Environment;
}

/** @throws `conflicting_options`, `invalid_option` */
export function checkTogether(config: Config, { mode, environment }: Together): void {
  if (mode.kind === 'production') emulatorEndpoint(environment);
  if (config.signedUrls && mode.kind === 'embedded')
    throw conflict('--signed-urls needs --mongo-uri and --gcs-bucket: files of a folder have no signed links');
  if (config.signedUrls && config.publicUrlBase !== undefined)
    throw conflict('give either --public-url-base or --signed-urls, not both');
  if (config.webhookSecret !== undefined && config.callbackUrl === undefined)
    throw conflict('--webhook-secret needs --callback-url: only webhooks to that URL are signed');
  checkModels(config);
  checkEngines(config);
}

function checkModels({ model, models }: Config): void {
  if (models !== undefined && model !== undefined) throw conflict('give either --model or --models, not both');
}

function checkEngines(config: Config): void {
  const { device, engines } = config;
  const [first] = device;
  if (engines > 1 && (device.length > 1 || !['auto', 'cpu'].includes(first)))
    throw conflict(
      `--engines shares the CPU and cannot be used with --device ${device.join(',')}; for an engine on each GPU name them, as --device cuda:0,cuda:1`,
    );
  const cores = availableParallelism();
  if (engines <= cores) return;
  const name = nameInUse(config, 'engines');
  throw new Text2ImgError(
    'invalid_option',
    `${name} ${engines} is not allowed: this process may use ${countText(cores, 'core', 'cores')}, and each engine needs one. The largest number is ${cores}.`,
  );
}

function conflict(sentence: string): Text2ImgError {
  return new Text2ImgError('conflicting_options', `${sentence}.`);
}
