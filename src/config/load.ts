/**
 * Flags and environment → frozen Config. The only reader of the environment. A flag beats the environment, an empty
 * variable is unset, and a bad value is refused by name, quoted, with what is allowed.
 */
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { ErrorCode } from '../errors/error-codes.ts';
import { Text2ImgError } from '../errors/text2img-error.ts';
import {
  type CommandName,
  type Config,
  environmentNameOf,
  flagOf,
  OPTION_NAMES,
  OPTIONS,
  type OptionName,
  type OptionSpec,
  optionsOf,
} from './schema.ts';

/** As commander gives them: a text, or true and false for a switch; absent ones are undefined. */
export type Flags = Readonly<Partial<Record<OptionName, string | boolean | undefined>>>;
export type Environment = Readonly<Record<string, string | undefined>>;

export interface ConfigSources {
  readonly command: CommandName;
  readonly flags: Flags;
  readonly environment?: Environment;
}

/** @throws `invalid_option`; for a picture's options of `generate` and `enqueue` `invalid_parameter` */
export function loadConfig({ command, flags, environment = process.env }: ConfigSources): Config {
  const taken = new Set(optionsOf(command));
  const values = OPTION_NAMES.map((name) => {
    const spec: OptionSpec = OPTIONS[name];
    const given = taken.has(name) ? (fromFlags(flags, name) ?? fromEnvironment(environment, name)) : undefined;
    const raw = given ?? (spec.default === undefined ? undefined : { source: flagOf(name), value: spec.default });
    return [name, raw === undefined ? undefined : parse({ command, name, ...raw })];
  });
  return Object.freeze(Object.fromEntries(values)) as Config;
}

interface RawOption {
  /** How the user gave it: the flag's or the variable's name. */
  readonly source: string;
  readonly value: string;
}

function fromFlags(flags: Flags, name: OptionName): RawOption | undefined {
  const value = flags[name];
  if (value === undefined) return undefined;
  return { source: flagOf(name), value: typeof value === 'boolean' ? (value ? 'on' : 'off') : value };
}

function fromEnvironment(environment: Environment, name: OptionName): RawOption | undefined {
  const variable = environmentNameOf(name);
  const value = environment[variable];
  if (value !== undefined && value !== '') return { source: variable, value };
  const file = (OPTIONS[name] as OptionSpec).secret ? environment[`${variable}_FILE`] : undefined;
  return file === undefined || file === ''
    ? undefined
    : { source: `${variable}_FILE`, value: readSecret(`${variable}_FILE`, file) };
}

function readSecret(variable: string, file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (error) {
    throw new Text2ImgError(
      'invalid_option',
      `${variable} ${JSON.stringify(file)} cannot be read: ${(error as Error).message}.`,
      { cause: error },
    );
  }
}

function parse({
  command,
  name,
  source,
  value,
}: RawOption & { readonly command: CommandName; readonly name: OptionName }): unknown {
  const spec: OptionSpec = OPTIONS[name];
  const result = spec.schema.safeParse(value);
  if (result.success) return result.data;
  const code: ErrorCode = command === 'run' ? 'invalid_option' : (spec.requestFault ?? 'invalid_option');
  const quoted = spec.secret ? '(not shown)' : JSON.stringify(value.length > 100 ? `${value.slice(0, 100)}…` : value);
  throw new Text2ImgError(code, `${source} ${quoted} is not allowed; it must be ${spec.allowed}.`);
}

/** Where compiled networks are kept; null: nowhere. */
export function compileCacheFolder(config: Config, environment: Environment = process.env): string | null {
  if (config.compileCache === 'off') return null;
  if (config.compileCache !== undefined) return config.compileCache;
  const base = environment['XDG_CACHE_HOME'];
  return join(base === undefined || base === '' ? join(homedir(), '.cache') : base, 'text2img');
}

/** Where a user's programs keep what they fetched. */
export function dataHome(environment: Environment = process.env): string {
  const stated = environment['XDG_DATA_HOME'];
  return stated === undefined || stated === '' ? join(homedir(), '.local', 'share') : stated;
}

/** This process's environment with `folder` as the first entry of a search path, for a child. */
export function environmentWithFirst(
  variable: string,
  folder: string,
  environment: Environment = process.env,
): Environment {
  const before = environment[variable];
  return { ...environment, [variable]: before === undefined || before === '' ? folder : `${folder}:${before}` };
}

export interface GoogleEnvironment {
  /** The server of `STORAGE_EMULATOR_HOST`, as Google's own clients take it. */
  readonly apiEndpoint: string | undefined;
  readonly credentialsFile: string | undefined;
}

/** Where people who run this in a container have their key for long. */
const USUAL_CREDENTIALS = './credentials/gcp-key.json';

/** How to reach Google Cloud Storage. Names the usual key file to Google's client, which reads the variable itself. */
export function googleEnvironment(environment: Record<string, string | undefined> = process.env): GoogleEnvironment {
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

/** As the service of this contract has had it for long; the hub knows where it lives today. */
export const DEFAULT_PRODUCTION_MODEL = 'runwayml/stable-diffusion-v1-5';

export interface HubEnvironment {
  readonly endpoint: string;
  /** `<HF_HOME>/hub`, shared with the Python tools. */
  readonly cacheFolder: string;
  readonly token: string | undefined;
  readonly offline: boolean;
}

/** The variables that `huggingface_hub` reads, with its defaults; the token also out of the file that its sign-in leaves. */
export function hubEnvironment(environment: Environment = process.env): HubEnvironment {
  const stated = (name: string): string | undefined => (environment[name] === '' ? undefined : environment[name]);
  const cacheHome = stated('XDG_CACHE_HOME') ?? join(homedir(), '.cache');
  const home = stated('HF_HOME') ?? join(cacheHome, 'huggingface');
  const tokenFile = stated('HF_TOKEN_PATH') ?? join(home, 'token');
  return {
    endpoint: (stated('HF_ENDPOINT') ?? 'https://huggingface.co').replace(/\/+$/, ''),
    cacheFolder: stated('HF_HUB_CACHE') ?? join(home, 'hub'),
    token:
      stated('HF_TOKEN') ??
      stated('HUGGING_FACE_HUB_TOKEN') ??
      (existsSync(tokenFile) ? readToken(tokenFile) : undefined),
    offline: /^(?:1|true|yes|on)$/i.test(environment['HF_HUB_OFFLINE'] ?? ''),
  };
}

function readToken(file: string): string | undefined {
  try {
    const token = readFileSync(file, 'utf8').trim();
    return token === '' ? undefined : token;
  } catch {
    // Another user's: then there is none for us.
    return undefined;
  }
}

export type Mode =
  | { readonly kind: 'embedded'; readonly dataDir: string }
  | { readonly kind: 'production'; readonly mongoUri: string; readonly gcsBucket: string };

/**
 * Which queue and store to use.
 * @throws `conflicting_options` when only one half of the production path is named, or neither in a container
 */
export function resolveMode(config: Config, environment: Environment = process.env): Mode {
  const { mongoUri, gcsBucket } = config;
  if (mongoUri === undefined && gcsBucket === undefined) {
    // Our image sets it: whoever forgot an option there would draw into a folder that is thrown away.
    if (environment['TEXT2IMG_CONTAINER'] === '1' && !config.embedded) {
      throw new Text2ImgError(
        'conflicting_options',
        'neither --mongo-uri nor --gcs-bucket is given; in a container say --embedded if its own queue and folder are meant, which are lost with it unless --data-dir is a volume.',
      );
    }
    return { kind: 'embedded', dataDir: config.dataDir };
  }
  if (mongoUri !== undefined && gcsBucket !== undefined) return { kind: 'production', mongoUri, gcsBucket };
  const [given, missing] = mongoUri === undefined ? ['--gcs-bucket', '--mongo-uri'] : ['--mongo-uri', '--gcs-bucket'];
  throw new Text2ImgError(
    'conflicting_options',
    `${given} needs ${missing}; give both, or neither for the embedded queue and store.`,
  );
}
