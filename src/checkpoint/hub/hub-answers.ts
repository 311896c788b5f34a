/** The hub's answers, read through schemas: a name or a sum that is none would lead out of the cache. */
import { z } from 'zod';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { isRecord } from '../../lib/foreign-record.ts';
import { quote } from '../../lib/foreign-text.ts';

export interface HubFile {
  /** Relative, and inside: no empty part, no `.` and no `..`. */
  readonly path: string;
  readonly sizeBytes: number;
  /** Names the blob in the cache: SHA-256 of a large file, git's SHA of a small one, in hex. */
  readonly blob: string;
  readonly isLarge: boolean;
}

/** SHA-1, or SHA-256 where a repository uses that. */
const GIT_HASH = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/;
const SHA256 = /^[0-9a-f]{64}$/;
const MAX_PATH_LENGTH = 1024;

const size = z.int().min(0);
const revisionSchema = z.object({ sha: z.string().regex(GIT_HASH) });
const fileSchema = z.object({
  path: z.string().max(MAX_PATH_LENGTH).refine(staysInside),
  size,
  oid: z.string().regex(GIT_HASH),
  lfs: z.object({ oid: z.string().regex(SHA256), size }).nullish(),
});

function staysInside(path: string): boolean {
  // oxlint-disable-next-line no-control-regex -- a NUL ends a path early
  return !/[\\\u0000]/.test(path) && path.split('/').every((part) => part !== '' && part !== '.' && part !== '..');
}

/** JSON, or what came instead. @throws `download_failed` */
export function parseJson(
  text: string,
  { what, contentType }: { readonly what: string; readonly contentType: string | undefined },
): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const kind = contentType === undefined ? 'something' : quote(contentType);
    throw new Text2ImgError(
      'download_failed',
      `the answer for ${what} is ${kind} and not JSON; it begins ${quote(text.trim(), 60)}. A proxy or a log-in page may stand between.`,
      { cause: error },
    );
  }
}

/** The commit. @throws `download_failed` */
export function readRevision(value: unknown, what: string): string {
  const parsed = revisionSchema.safeParse(value);
  if (parsed.success) return parsed.data.sha;
  const sha = isRecord(value) ? value['sha'] : undefined;
  throw new Text2ImgError(
    'download_failed',
    `the answer for ${what} names the commit ${quote(sha)}; a commit is 40 or 64 hex digits.`,
  );
}

/** The files of one page of the list. @throws `download_failed` with the entry and what is wrong with it */
export function readFileList(value: unknown, what: string): readonly HubFile[] {
  if (!Array.isArray(value))
    throw new Text2ImgError('download_failed', `the answer for ${what} is ${quote(value)}; a list of files is needed.`);
  return (value as readonly unknown[]).flatMap((entry) => {
    if (!isRecord(entry))
      throw new Text2ImgError('download_failed', `an entry of the list for ${what} is ${quote(entry)}.`);
    return entry['type'] === 'file' ? [readFile(entry, what)] : [];
  });
}

function readFile(entry: Readonly<Record<string, unknown>>, what: string): HubFile {
  const parsed = fileSchema.safeParse(entry);
  if (!parsed.success) {
    const fields = parsed.error.issues[0]?.path.map(String) ?? [];
    const bad = fields.reduce<unknown>((at, field) => (isRecord(at) ? at[field] : undefined), entry);
    throw new Text2ImgError(
      'download_failed',
      `in the list for ${what} the file ${quote(entry['path'])} has the ${fields.join('.')} ${quote(bad)}, which is not allowed.`,
    );
  }
  const { path, oid, lfs } = parsed.data;
  return {
    path,
    sizeBytes: lfs?.size ?? parsed.data.size,
    blob: lfs?.oid ?? oid,
    isLarge: lfs !== undefined && lfs !== null,
  };
}
