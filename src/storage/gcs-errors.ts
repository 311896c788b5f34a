/** What Google Cloud Storage's answers mean, and the errors as ours; never with a token or a signed URL in them. */
import { Text2ImgError } from '../errors/text2img-error.ts';

export type GcsVerdict =
  /** The precondition failed: another generation is there. */
  | 'conflict'
  /** The object, or the bucket itself. */
  | 'missing'
  | 'forbidden'
  /** Another try may do it: 408, 429, 5xx, a broken connection; 400 too, which is how bytes that were corrupted on the way are refused. */
  | 'transient';

export function verdictOf(error: unknown): GcsVerdict {
  const { code } = error as { code?: unknown };
  switch (Number(code)) {
    case 412:
    case 304:
      return 'conflict';
    case 404:
      return 'missing';
    case 401:
    case 403:
      return 'forbidden';
    default:
      return isCredentialsError(error) ? 'forbidden' : 'transient';
  }
}

/** Neither a key file, nor a machine's own account. Google's client has no code for it. */
function isCredentialsError(error: unknown): boolean {
  const { message = '' } = error as { message?: string };
  return /default credentials|invalid_grant|invalid_client|DECODER|PEM|key must be/i.test(message);
}

export function gcsError(
  error: unknown,
  { bucket, credentialsFile }: { readonly bucket: string; readonly credentialsFile: string | undefined },
): Text2ImgError {
  if (error instanceof Text2ImgError) return error;
  const reason = withoutSecrets(error instanceof Error ? error.message : String(error));
  const file = credentialsFile === undefined ? undefined : JSON.stringify(credentialsFile);
  switch (verdictOf(error)) {
    case 'missing':
      return new Text2ImgError(
        'store_unwritable',
        `the bucket ${bucket} does not exist, or this account may not see it.`,
        { cause: error },
      );
    case 'forbidden':
      if (isCredentialsError(error))
        return new Text2ImgError(
          'store_unwritable',
          `there are no usable Google credentials (${file ?? 'no key file'}): ${reason}. Set GOOGLE_APPLICATION_CREDENTIALS to a key file, or run where the machine has an account.`,
          { cause: error },
        );
      return new Text2ImgError('store_unwritable', `this account may not use the bucket ${bucket} so: ${reason}.`, {
        cause: error,
      });
    case 'conflict':
    case 'transient':
      return new Text2ImgError('store_failed', `the bucket ${bucket} cannot be used: ${reason}.`, { cause: error });
  }
}

function withoutSecrets(text: string): string {
  return text
    .replaceAll(/(?:Bearer\s+|ya29\.)[\w.~+/-]+=*/g, '[redacted]')
    .replaceAll(/\bX-Goog-[A-Za-z]+=[^&\s]+/g, '[redacted]')
    .slice(0, 300)
    .trim()
    .replace(/\.$/, '');
}
