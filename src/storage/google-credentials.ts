/** The key file of a Google account, looked at before Google's client does, whose errors do not say what to do. */
import { readFileSync } from 'node:fs';
import { Text2ImgError } from '../errors/text2img-error.ts';

interface CredentialsFile {
  readonly type?: unknown;
  readonly private_key?: unknown;
}

/** @throws `store_unwritable` for a file that is missing, unreadable or not JSON; never quotes what is in it */
export function readCredentialsFile(path: string): CredentialsFile {
  const quoted = JSON.stringify(path);
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as CredentialsFile;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EACCES')
      throw new Text2ImgError(
        'store_unwritable',
        `the credentials ${quoted} cannot be read by user ${process.getuid?.() ?? '?'}; in a container name their owner with --user "$(id -u):$(id -g)".`,
        { cause: error },
      );
    const why =
      error instanceof SyntaxError ? 'they are not JSON' : code === 'ENOENT' ? 'there is no such file' : String(code);
    throw new Text2ImgError(
      'store_unwritable',
      `the credentials ${quoted} of GOOGLE_APPLICATION_CREDENTIALS cannot be used: ${why}.`,
    );
  }
}

/**
 * A link must live as long as its webhook may be tried. Only one that is signed with a key itself lives its seven days; what other credentials
 * sign ends with them, within hours.
 * @throws `conflicting_options`, `store_unwritable`
 */
export function checkCanSign(credentialsFile: string | undefined): void {
  const key = credentialsFile === undefined ? undefined : readCredentialsFile(credentialsFile);
  if (key?.type === 'service_account' && typeof key.private_key === 'string') return;
  const why =
    key === undefined ? 'there is none' : `${JSON.stringify(credentialsFile)} is of type ${JSON.stringify(key.type)}`;
  throw new Text2ImgError(
    'conflicting_options',
    `--signed-urls needs a service account's key file in GOOGLE_APPLICATION_CREDENTIALS, because other credentials end before the last try of a webhook; ${why}.`,
  );
}
