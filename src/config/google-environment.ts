/** The variables that Google's own clients read. */
import { existsSync } from 'node:fs';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { processEnvironment } from './environment.ts';

export interface GoogleEnvironment {
  /** The server of `STORAGE_EMULATOR_HOST`, as Google's own clients take it. */
  readonly apiEndpoint: string | undefined;
  readonly credentialsFile: string | undefined;
}

/** Where people who run this in a container have their key for long. */
const USUAL_CREDENTIALS = './credentials/gcp-key.json';

/** How to reach Google Cloud Storage. Names the usual key file to Google's client, which reads the variable itself. */
export function googleEnvironment(
  environment: Record<string, string | undefined> = processEnvironment(),
): GoogleEnvironment {
  const emulator = environment['STORAGE_EMULATOR_HOST'];
  const stated = environment['GOOGLE_APPLICATION_CREDENTIALS'];
  const usual = existsSync(USUAL_CREDENTIALS) ? USUAL_CREDENTIALS : undefined;
  if ((stated === undefined || stated === '') && usual !== undefined)
    environment['GOOGLE_APPLICATION_CREDENTIALS'] = usual;
  return {
    apiEndpoint: emulator === undefined || emulator === '' ? undefined : emulatorUrl(emulator),
    credentialsFile: stated === undefined || stated === '' ? usual : stated,
  };
}

/** Google's clients take `host:port` and URLs, some with the API's path. @throws `invalid_option` */
function emulatorUrl(address: string): string {
  const url = URL.parse(/^[a-z][a-z0-9+.-]*:\/\//i.test(address) ? address : `http://${address}`);
  if (url === null || !/^https?:$/.test(url.protocol) || url.username !== '' || url.password !== '') {
    throw new Text2ImgError(
      'invalid_option',
      `STORAGE_EMULATOR_HOST ${JSON.stringify(address.replace(/\/\/.*@/, '//[redacted]@'))} is not allowed; it must be host:port or an http:// URL without a password.`,
    );
  }
  return `${url.origin}${url.pathname.replace(/\/(?:storage\/v1\/?)?$/, '')}`;
}
