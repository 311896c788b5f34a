/** The variables that Google's own clients read. */
import { existsSync } from 'node:fs';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { type Environment, processEnvironment, stated } from './environment.ts';
import { quoteUrl } from './quote-url.ts';
import { expandHome } from './user-folders.ts';

export interface GoogleEnvironment {
  /** The server of `STORAGE_EMULATOR_HOST`, as Google's own clients take it. */
  readonly apiEndpoint: string | undefined;
  readonly credentialsFile: string | undefined;
}

/** Where people who run this in a container have their key for long. */
const USUAL_CREDENTIALS = './credentials/gcp-key.json';
const KEY_FILE_VARIABLE = 'GOOGLE_APPLICATION_CREDENTIALS';

/**
 * How to reach Google Cloud Storage. Google's client reads the variable of the key file itself, so what is decided here is written there too.
 * @throws `invalid_option`
 */
export function googleEnvironment(
  environment: Record<string, string | undefined> = processEnvironment(),
): GoogleEnvironment {
  const given = stated(environment, KEY_FILE_VARIABLE);
  const file =
    given === undefined
      ? existsSync(USUAL_CREDENTIALS)
        ? USUAL_CREDENTIALS
        : undefined
      : expandHome(given, environment);
  if (file !== undefined) environment[KEY_FILE_VARIABLE] = file;
  return { apiEndpoint: emulatorEndpoint(environment), credentialsFile: file };
}

/** Google's clients take `host:port` and URLs, some with the API's path. @throws `invalid_option` */
export function emulatorEndpoint(environment: Environment): string | undefined {
  const address = stated(environment, 'STORAGE_EMULATOR_HOST');
  if (address === undefined) return undefined;
  const text = /^[a-z][a-z0-9+.-]*:\/\//i.test(address) ? address : `http://${address}`;
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol) || url.username !== '' || url.password !== '') {
    throw new Text2ImgError(
      'invalid_option',
      `STORAGE_EMULATOR_HOST ${quoteUrl(text)} is not allowed; it must be host:port or an http:// URL without a password.`,
    );
  }
  return `${url.origin}${url.pathname.replace(/\/(?:storage\/v1\/?)?$/, '')}`;
}
