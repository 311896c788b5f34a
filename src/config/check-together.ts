/** Options that need or exclude each other, looked at before anything is fetched or opened. */
import { Text2ImgError } from '../errors/text2img-error.ts';
import type { Environment } from './environment.ts';
import { emulatorEndpoint } from './google.ts';
import { resolveMode } from './mode.ts';
import type { CommandName, Config } from './options.ts';

export interface Together {
  readonly command: CommandName;
  readonly environment: Environment;
}

/** @throws `conflicting_options`, `invalid_option` */
export function checkTogether(config: Config, { command, environment }: Together): void {
  // Doctor lists what is wrong instead of stopping at it, the others find out when they open the queue.
  if (command !== 'run') return;
  const mode = resolveMode(config, environment);
  if (mode.kind === 'production') emulatorEndpoint(environment);
  if (config.signedUrls && mode.kind === 'embedded')
    throw conflict('--signed-urls needs --mongo-uri and --gcs-bucket: files of a folder have no signed links');
  if (config.signedUrls && config.publicUrlBase !== undefined)
    throw conflict('give either --public-url-base or --signed-urls, not both');
  if (config.webhookSecret !== undefined && config.callbackUrl === undefined)
    throw conflict('--webhook-secret needs --callback-url: only what goes to the operator’s own URL is signed');
}

function conflict(sentence: string): Text2ImgError {
  return new Text2ImgError('conflicting_options', `${sentence}.`);
}
