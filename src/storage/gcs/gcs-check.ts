/** Proves at the start that the bucket takes images: the account, the bucket, and the permissions on it. */
import type { GcsClient } from './gcs-client.ts';
import type { GcsConnection, GcsConnectionOptions, RequestLimits } from './gcs-connection.ts';
import { credentialsError, missingBucket, missingPermission, statusOf } from './gcs-errors.ts';
import { readCredentialsFile } from './google-credentials.ts';

export interface CheckedOptions extends GcsConnectionOptions {
  /**
   * The file that `GOOGLE_APPLICATION_CREDENTIALS` names. Google's client reads the variable itself. Without it the client looks for the machine's
   * account.
   */
  readonly credentialsFile: string | undefined;
}

/** For the check and for probes, so that a wrong address is reported soon. */
export const CHECK_DEADLINE_MS = 15_000;
const NEEDED = ['storage.objects.create', 'storage.objects.get'] as const;
/** Replacing an object needs the right to delete the old one. */
const FOR_RERUNS = 'storage.objects.delete';

/** @throws `store_unwritable`, `store_failed`; the signal's reason when it is aborted */
export async function checkBucket(
  connection: GcsConnection,
  options: CheckedOptions,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { apiEndpoint, bucket, credentialsFile, deadlineMs = CHECK_DEADLINE_MS, logger } = options;
  const endMs = performance.now() + Math.min(deadlineMs, CHECK_DEADLINE_MS);
  const limits = (): RequestLimits => ({ signal, deadlineMs: endMs - performance.now() });
  if (credentialsFile !== undefined) readCredentialsFile(credentialsFile);
  // First, so that missing credentials are reported as such, not as the bucket's answer to an anonymous caller.
  if (apiEndpoint === undefined) await fetchToken(connection, limits());
  const granted = await connection.request('check', (client) => grantedPermissions(client, options), limits());
  const missing = NEEDED.filter((permission) => !granted.includes(permission));
  if (missing.length > 0) throw missingPermission(bucket, missing);
  if (!granted.includes(FOR_RERUNS))
    logger.warning('images of an earlier run cannot be replaced: a permission on the bucket is missing', {
      bucket,
      permission: FOR_RERUNS,
      role: 'roles/storage.objectUser',
    });
}

async function fetchToken(connection: GcsConnection, limits: RequestLimits): Promise<void> {
  try {
    await connection.request('credentials', (client) => client.fetchToken(), limits);
  } catch (error) {
    limits.signal?.throwIfAborted();
    throw credentialsError(error);
  }
}

/** Asks which rights there are, not for the bucket itself: healthy minimal roles lack `storage.buckets.get`. */
async function grantedPermissions(
  client: GcsClient,
  { apiEndpoint, bucket }: CheckedOptions,
): Promise<readonly string[]> {
  const wanted = [...NEEDED, FOR_RERUNS];
  try {
    return await client.permissions(wanted);
  } catch (error) {
    const status = statusOf(error);
    if (status === 404 && apiEndpoint === undefined) throw missingBucket(bucket);
    // An emulator without that method is asked for the bucket.
    if (apiEndpoint === undefined || ![400, 404, 405, 501].includes(status ?? 0)) throw error;
    await client.describeBucket();
    return wanted;
  }
}
