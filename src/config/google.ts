/** How to reach Google Cloud Storage: the variables that Google's own clients read, and what they must find there. */
import { existsSync } from 'node:fs';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { type Environment, stated } from './environment.ts';
import { type Proxies, proxyFor, readProxies } from '../lib/proxies.ts';
import { quoteUrl } from './quote-url.ts';
import { expandHome } from './user-folders.ts';

export interface GoogleSettings {
  /** The server of `STORAGE_EMULATOR_HOST`, as Google's own clients take it. */
  readonly apiEndpoint: string | undefined;
  readonly credentialsFile: string | undefined;
  /** For requests to the bucket; undefined: directly. */
  readonly proxy: string | undefined;
  /** Variables that Google's client must find in the environment of the process. It reads them itself and takes these settings in no other form. */
  readonly variables: Readonly<Record<string, string>>;
}

const GOOGLE_ENDPOINT = 'https://storage.googleapis.com';
/** Whom Google's client asks for tokens and signatures. */
const TOKEN_SERVERS = ['oauth2', 'www', 'sts', 'iamcredentials'].map((name) => `https://${name}.googleapis.com`);
/** The machine's own account is asked for at a link-local address, which no proxy reaches. */
const METADATA_SERVERS = ['http://169.254.169.254', 'http://metadata.google.internal'];

/** Where people who run this in a container have their key for long. */
const USUAL_CREDENTIALS = './credentials/gcp-key.json';
const KEY_FILE_VARIABLE = 'GOOGLE_APPLICATION_CREDENTIALS';

/** Changes nothing: `variables` lists the variables that Google's door will write. @throws `invalid_option` */
export function googleSettings(environment: Environment): GoogleSettings {
  const given = stated(environment, KEY_FILE_VARIABLE);
  const usual = existsSync(USUAL_CREDENTIALS) ? USUAL_CREDENTIALS : undefined;
  const file = given === undefined ? usual : expandHome(given, environment);
  const apiEndpoint = emulatorEndpoint(environment);
  const proxies = readProxies(environment);
  const endpoint = new URL(apiEndpoint ?? GOOGLE_ENDPOINT);
  const servers = [endpoint, ...TOKEN_SERVERS.map((url) => new URL(url))];
  return {
    apiEndpoint,
    credentialsFile: file,
    proxy: proxyFor(endpoint, proxies),
    variables: {
      ...(file === undefined ? {} : { [KEY_FILE_VARIABLE]: file }),
      ...directHosts(environment, servers, proxies),
    },
  };
}

/**
 * Google's client reads the proxies itself, and it takes any proxy for any URL. In `NO_PROXY` it understands only whole names and names with a dot in
 * front. So we list there in full each host that curl would ask directly with the same variables.
 */
function directHosts(environment: Environment, urls: readonly URL[], proxies: Proxies): Record<string, string> {
  if (proxies.http === undefined && proxies.https === undefined) return {};
  const direct = [
    ...urls.filter((url) => proxyFor(url, proxies) === undefined),
    ...METADATA_SERVERS.map((url) => new URL(url)),
  ];
  const before = environment['no_proxy'] ?? environment['NO_PROXY'] ?? '';
  const named = before.split(/[\s,]+/).filter((entry) => entry !== '');
  const missing = direct.map(({ hostname }) => hostname).filter((hostname) => !named.includes(hostname));
  if (missing.length === 0) return {};
  const hosts = [...named, ...missing].join(',');
  // The two halves of Google's client do not agree on which of both comes first.
  return environment['no_proxy'] === undefined ? { NO_PROXY: hosts } : { NO_PROXY: hosts, no_proxy: hosts };
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
