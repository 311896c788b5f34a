/** The variables that `huggingface_hub` reads, with its defaults. */
import { join } from 'node:path';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { quote } from '../lib/foreign-text.ts';
import { readPlainFile } from '../lib/plain-file.ts';
import { type Environment, stated } from './environment.ts';
import { quoteUrl } from './quote-url.ts';
import { cacheHome, expandHome } from './user-folders.ts';

/** As the service of this contract has had it for long; the hub knows where it lives today. */
export const DEFAULT_PRODUCTION_MODEL = 'runwayml/stable-diffusion-v1-5';

const TOKEN_VARIABLES = ['HF_TOKEN', 'HUGGING_FACE_HUB_TOKEN'] as const;
/** Goes into a header. */
const TOKEN = /^[\x21-\x7e]{1,4096}$/;
const MAX_TOKEN_FILE_BYTES = 65_536;

/** The first that is set decides, as in `huggingface_hub` (its constants.py, `_is_true`); any other word means no. */
const OFFLINE = ['HF_HUB_OFFLINE', 'TRANSFORMERS_OFFLINE'] as const;
const YES = /^(?:1|true|yes|on)$/i;
const NO = /^(?:0|false|no|off)$/i;

export interface HubEnvironment {
  readonly endpoint: string;
  /** `<HF_HOME>/hub`, shared with the Python tools. */
  readonly cacheFolder: string;
  readonly token: string | undefined;
  readonly offline: boolean;
}

/** The token also out of the file that `huggingface_hub`'s sign-in leaves. @throws `invalid_option` */
export async function hubEnvironment(environment: Environment): Promise<HubEnvironment> {
  const folder = (name: string, fallback: () => string): string => {
    const given = stated(environment, name);
    return given === undefined ? fallback() : expandHome(given, environment);
  };
  const home = folder('HF_HOME', () => join(cacheHome(environment), 'huggingface'));
  return {
    endpoint: hubEndpoint(environment),
    cacheFolder: folder('HF_HUB_CACHE', () => join(home, 'hub')),
    token: statedToken(environment) ?? (await readToken(folder('HF_TOKEN_PATH', () => join(home, 'token')))),
    offline: YES.test(statedOffline(environment)?.value ?? ''),
  };
}

function statedOffline(environment: Environment): { readonly variable: string; readonly value: string } | undefined {
  for (const variable of OFFLINE) {
    const value = stated(environment, variable);
    if (value !== undefined) return { variable, value };
  }
  return undefined;
}

/** The variable that should keep us from the network and has a word that is neither yes nor no, with that word. */
export function unclearOffline(
  environment: Environment,
): { readonly variable: string; readonly value: string } | undefined {
  const found = statedOffline(environment);
  return found === undefined || YES.test(found.value) || NO.test(found.value) ? undefined : found;
}

/** Finds errors in the hub's variables without reading a file, before anything else happens. @throws `invalid_option` */
export function checkHubVariables(environment: Environment): void {
  hubEndpoint(environment);
  statedToken(environment);
}

/** The hub's address, or its mirror's, without a slash at its end. @throws `invalid_option` */
export function hubEndpoint(environment: Environment): string {
  const given = stated(environment, 'HF_ENDPOINT');
  if (given === undefined) return 'https://huggingface.co';
  const url = /^https?:\/\//i.test(given) ? URL.parse(given) : null;
  if (url !== null && url.username === '' && url.password === '' && url.search === '' && url.hash === '')
    return given.replace(/\/+$/, '');
  throw new Text2ImgError(
    'invalid_option',
    `HF_ENDPOINT ${quoteUrl(given)} is not allowed; it must be an http:// or https:// URL without user, ? and #.`,
  );
}

function statedToken(environment: Environment): string | undefined {
  const variable = TOKEN_VARIABLES.find((name) => stated(environment, name) !== undefined);
  return variable === undefined ? undefined : checkedToken(stated(environment, variable) ?? '', variable);
}

function checkedToken(token: string, source: string): string {
  if (TOKEN.test(token)) return token;
  throw new Text2ImgError(
    'invalid_option',
    `${source} (not shown) is not allowed; it must be one word of ASCII characters, as the hub shows it.`,
  );
}

/** Undefined where there is none, or one that is another user's. */
async function readToken(file: string): Promise<string | undefined> {
  const bytes = await readPlainFile(file, MAX_TOKEN_FILE_BYTES).catch(() => undefined);
  const token = bytes?.toString('utf8').trim();
  return token === undefined || token === '' ? undefined : checkedToken(token, `The token in ${quote(file)}`);
}
