/** What must be true before anything is claimed: the credentials work, the bucket is there, and objects may be made, read and replaced in it. */
import type { Bucket } from '@google-cloud/storage';
import { type Logger } from '../../observability/logger.ts';
import { missingBucket, missingPermission, statusOf } from './gcs-errors.ts';

const NEEDED = ['storage.objects.create', 'storage.objects.get'] as const;
/** Replacing an object needs the right to delete the old one. */
const FOR_RERUNS = 'storage.objects.delete';

export interface CheckOptions {
  readonly isEmulator: boolean;
  readonly logger: Logger;
}

/**
 * Asks which rights there are, not for the bucket itself: healthy minimal roles lack `storage.buckets.get`.
 * @throws `store_unwritable`, and the client's errors
 */
export async function checkBucket(bucket: Bucket, { isEmulator, logger }: CheckOptions): Promise<void> {
  const granted = await grantedPermissions(bucket, isEmulator);
  if (granted === undefined) return;
  const missing = NEEDED.filter((permission) => !granted.has(permission));
  if (missing.length > 0) throw missingPermission(bucket.name, missing);
  if (!granted.has(FOR_RERUNS)) {
    logger.warning('a prompt that is drawn again cannot replace its picture: a permission on the bucket is missing', {
      bucket: bucket.name,
      permission: FOR_RERUNS,
      role: 'roles/storage.objectUser',
    });
  }
}

/** Undefined: an emulator that knows no permissions, and has the bucket. */
async function grantedPermissions(bucket: Bucket, isEmulator: boolean): Promise<ReadonlySet<string> | undefined> {
  try {
    const [permissions] = await bucket.iam.testPermissions([...NEEDED, FOR_RERUNS]);
    return new Set(Object.keys(permissions).filter((permission) => permissions[permission] === true));
  } catch (error) {
    const status = statusOf(error);
    if (status === 403) return new Set();
    if (isEmulator && (status === 404 || status === 405 || status === 501)) {
      await bucket.getMetadata();
      return undefined;
    }
    if (status === 404) throw missingBucket(bucket.name);
    throw error;
  }
}
