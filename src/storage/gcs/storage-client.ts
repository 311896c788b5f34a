/**
 * Makes the client library's `Storage`, with its traps disarmed: no retries of its own (one `save()` without preconditions would turn them off for
 * the whole client, and ours know the 412 rules), and an endpoint that does not depend on what the library itself reads from the environment.
 */
import { readFile } from 'node:fs/promises';
import { Storage } from '@google-cloud/storage';
import { z } from 'zod';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { CREDENTIALS_HINT } from './gcs-errors.ts';

const GOOGLE_ENDPOINT = 'https://storage.googleapis.com';

export interface ClientOptions {
  /** An emulator, as `STORAGE_EMULATOR_HOST` names it: `host:port` or a URL. No credentials are sent to it. */
  readonly apiEndpoint?: string | undefined;
  /** Without one, Google's application-default credentials. */
  readonly credentialsFile?: string | undefined;
  readonly projectId?: string | undefined;
}

/** @throws `invalid_option` when the emulator's address is none */
export function createClient({ apiEndpoint, credentialsFile, projectId }: ClientOptions): Storage {
  const endpoint = apiEndpoint === undefined ? GOOGLE_ENDPOINT : emulatorUrl(apiEndpoint);
  const storage = new Storage({
    apiEndpoint: endpoint,
    // The library takes an empty STORAGE_EMULATOR_HOST for a custom endpoint, to which it would send no credentials.
    useAuthWithCustomEndpoint: apiEndpoint === undefined,
    retryOptions: { autoRetry: false },
    ...(credentialsFile === undefined ? {} : { keyFilename: credentialsFile }),
    ...(projectId === undefined ? {} : { projectId }),
  });
  // With STORAGE_EMULATOR_HOST set, the library would ask for metadata at that address without the API's path.
  storage.baseUrl = `${endpoint}/storage/v1`;
  return storage;
}

/** Google's clients for Go and Python take `host:port` and URLs, with or without the API's path. */
function emulatorUrl(address: string): string {
  const url = URL.parse(/^[a-z][a-z0-9+.-]*:\/\//i.test(address) ? address : `http://${address}`);
  if (url === null || !['http:', 'https:'].includes(url.protocol) || url.username !== '' || url.password !== '') {
    throw new Text2ImgError(
      'invalid_option',
      `STORAGE_EMULATOR_HOST ${JSON.stringify(address)} is not allowed; it must be host:port or an http:// URL without a password.`,
    );
  }
  const path = url.pathname.replace(/\/(?:storage\/v1\/?)?$/, '');
  return `${url.origin}${path}`;
}

const keyFileSchema = z.looseObject({
  type: z.string(),
  client_email: z.string().min(1).optional(),
  private_key: z.string().min(1).optional(),
});

/**
 * Reads the file once by ourselves, because the library's own words for what can be wrong with it are its system call's.
 * @throws `store_unwritable`
 */
export async function inspectCredentialsFile(path: string): Promise<{ readonly isServiceAccountKey: boolean }> {
  const { type, client_email, private_key } = parseKeyFile(path, await readKeyFile(path));
  return { isServiceAccountKey: type === 'service_account' && client_email !== undefined && private_key !== undefined };
}

async function readKeyFile(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const quoted = JSON.stringify(path);
    const why =
      code === 'EACCES' || code === 'EPERM'
        ? `cannot be read by this user${userHint()}: give the user the right to read it; in a container, start it with \`docker run --user "$(id -u):$(id -g)"\` of the file's owner`
        : code === 'ENOENT'
          ? `does not exist: ${CREDENTIALS_HINT}`
          : `cannot be read (${code ?? 'unknown error'}): ${CREDENTIALS_HINT}`;
    throw new Text2ImgError('store_unwritable', `the credentials file ${quoted} ${why}.`, { cause: error });
  }
}

function userHint(): string {
  const uid = process.getuid?.();
  return uid === undefined ? '' : ` (uid ${uid})`;
}

/** Its content is a secret: no error may quote it, not even as its cause. */
function parseKeyFile(path: string, content: string): z.infer<typeof keyFileSchema> {
  try {
    return keyFileSchema.parse(JSON.parse(content));
  } catch {
    throw new Text2ImgError(
      'store_unwritable',
      `the credentials file ${JSON.stringify(path)} is not a Google credentials file in JSON: ${CREDENTIALS_HINT}.`,
    );
  }
}
