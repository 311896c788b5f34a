/** How somebody outside finds a picture: what goes into a webhook instead of `gs://…`. */
import { readFileSync } from 'node:fs';
import { Text2ImgError } from '../errors/text2img-error.ts';

/** `https://cdn.example/generated/x.png` for the base `https://cdn.example` and the stored URL `gs://bucket/generated/x.png`. */
export function publicUrlUnder(base: string, storedUrl: string): string {
  const name = storedUrl.replace(/^gs:\/\/[^/]+\//, '');
  return `${base.replace(/\/+$/, '')}/${name.split('/').map(encodeURIComponent).join('/')}`;
}

/**
 * A link must live as long as its webhook may be tried. Only one that is signed with a key itself lives its seven days; what other credentials
 * sign ends with them, within hours.
 * @throws `conflicting_options`
 */
export function checkCanSign(credentialsFile: string | undefined): void {
  const refuse = (why: string): Text2ImgError =>
    new Text2ImgError(
      'conflicting_options',
      `--signed-urls needs a service account's key file in GOOGLE_APPLICATION_CREDENTIALS, because other credentials end before the last try of a webhook; ${why}.`,
    );
  if (credentialsFile === undefined) throw refuse('there is none');
  const quoted = JSON.stringify(credentialsFile);
  let key: { readonly type?: unknown; readonly private_key?: unknown };
  try {
    key = JSON.parse(readFileSync(credentialsFile, 'utf8'));
  } catch (error) {
    throw refuse(
      `${quoted} cannot be read: ${error instanceof SyntaxError ? 'it is not JSON' : (error as Error).message}`,
    );
  }
  if (key.type !== 'service_account' || typeof key.private_key !== 'string')
    throw refuse(`${quoted} is of type ${JSON.stringify(key.type)}`);
}
