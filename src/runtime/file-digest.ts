/**
 * Digests of large files, remembered with the file's identity, so that a start hashes nothing that it has hashed before. SHA-256 takes 9 s for
 * the 3.4 GB of a Stable Diffusion 1.x UNet.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { z } from 'zod';

/**
 * `changed`: a file is hashed again when its identity changed. `always`: at each start. `never`: size and time of change decide, for volumes
 * whose owner is set at each start, which changes the identity.
 */
export type VerifyCache = 'changed' | 'always' | 'never';

/** Nobody can set the ctime, so a file that was replaced under its old size and time is seen. The device number changes with each mount. */
const identitySchema = z.object({
  inode: z.string(),
  sizeBytes: z.string(),
  mtimeNs: z.string(),
  ctimeNs: z.string(),
});
export type FileIdentity = z.infer<typeof identitySchema>;

export const fileDigestSchema = z.object({ sha256: z.string().regex(/^[0-9a-f]{64}$/), identity: identitySchema });
export type FileDigest = z.infer<typeof fileDigestSchema>;

export async function identityOf(path: string): Promise<FileIdentity> {
  const { ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
  return { inode: String(ino), sizeBytes: String(size), mtimeNs: String(mtimeNs), ctimeNs: String(ctimeNs) };
}

/** Whether `known` still speaks for the file, without reading it. */
export function isSameFile(known: FileIdentity, now: FileIdentity, verify: VerifyCache): boolean {
  if (verify === 'always') return false;
  const keys =
    verify === 'never' ? (['sizeBytes', 'mtimeNs'] as const) : (['inode', 'sizeBytes', 'mtimeNs', 'ctimeNs'] as const);
  return keys.every((key) => known[key] === now[key]);
}

/** Reads the whole file. The identity is the one before it was read, so that a change meanwhile is seen the next time. */
export async function digestFile(path: string): Promise<FileDigest> {
  const identity = await identityOf(path);
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 4 * 2 ** 20 })) hash.update(chunk as Buffer);
  return { sha256: hash.digest('hex'), identity };
}
