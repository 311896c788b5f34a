/** The hub's API through its own client: which commit a revision is, and what lies there. What it refuses is said so that one knows what to do. */
import { HubApiError, listFiles, modelInfo } from '@huggingface/hub';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import type { HubId } from './hub-id.ts';

export interface HubAccess {
  /** `https://huggingface.co`, or a mirror's. */
  readonly endpoint: string;
  /** Never in a log or an error. */
  readonly token: string | undefined;
}

export interface HubFile {
  readonly path: string;
  readonly sizeBytes: number;
  /** Names the blob in the cache: SHA-256 of a large file, git's SHA-1 of a small one. */
  readonly blob: string;
  readonly isLarge: boolean;
}

/** One answer of the API. */
const TIMEOUT_MS = 15_000;

/** @throws `model_not_found`, `model_gated`, `download_failed` */
export async function resolveCommit({ id, revision }: HubId, access: HubAccess): Promise<string> {
  return asking({ id, revision }, access, async (common) => {
    const { sha } = await modelInfo({ name: id, revision, additionalFields: ['sha'], ...common });
    return sha;
  });
}

/** @throws `model_not_found`, `model_gated`, `download_failed` */
export async function listRepository({ id, revision }: HubId, access: HubAccess): Promise<readonly HubFile[]> {
  return asking({ id, revision }, access, async (common) => {
    const files: HubFile[] = [];
    for await (const entry of listFiles({ repo: id, revision, recursive: true, ...common })) {
      if (entry.type !== 'file' || entry.oid === undefined) continue;
      const { path, size, oid, lfs } = entry;
      files.push({ path, sizeBytes: lfs?.size ?? size, blob: lfs?.oid ?? oid, isLarge: lfs !== undefined });
    }
    return files;
  });
}

interface Common {
  readonly hubUrl: string;
  readonly fetch: typeof fetch;
  readonly accessToken?: string;
}

async function asking<T>(
  hubId: HubId,
  { endpoint, token }: HubAccess,
  ask: (common: Common) => Promise<T>,
): Promise<T> {
  // The reason stands in a header that the client does not pass on.
  let reason: string | null = null;
  const watched: typeof fetch = async (input, init) => {
    const response = await fetch(input, { ...init, signal: AbortSignal.timeout(TIMEOUT_MS) });
    reason = response.headers.get('x-error-code');
    return response;
  };
  try {
    return await ask({ hubUrl: endpoint, fetch: watched, ...(token === undefined ? {} : { accessToken: token }) });
  } catch (error) {
    if (error instanceof HubApiError)
      throw refusal(hubId, { status: error.statusCode, reason, hasToken: token !== undefined });
    throw unreachable(endpoint, error);
  }
}

export interface Refusal {
  readonly status: number;
  /** `x-error-code` */
  readonly reason: string | null;
  readonly hasToken: boolean;
}

/** What an answer that is none means. */
export function refusal({ id, revision }: HubId, { status, reason, hasToken }: Refusal): Text2ImgError {
  if (reason === 'GatedRepo' || status === 403)
    return new Text2ImgError(
      'model_gated',
      `the model ${id} is gated: accept its terms on its page, and ${hasToken ? 'use a token of that account' : 'set HF_TOKEN to a token of that account'}.`,
    );
  if (reason === 'RevisionNotFound')
    return new Text2ImgError('model_not_found', `the model ${id} has no revision ${JSON.stringify(revision)}.`);
  if (status === 401 || status === 404)
    return new Text2ImgError(
      'model_not_found',
      `there is no model ${id} on the hub, or it is private; ${hasToken ? 'the token in use does not reach it' : 'for a private one set HF_TOKEN'}.`,
    );
  return new Text2ImgError('download_failed', `the hub answered ${status} for the model ${id}.`);
}

export function unreachable(endpoint: string, error: unknown): Text2ImgError {
  const { message, cause } = error as Error;
  const why = cause instanceof Error ? `${message}: ${cause.message}` : message;
  return new Text2ImgError('download_failed', `the hub at ${new URL(endpoint).origin} cannot be reached: ${why}.`, {
    cause: error,
  });
}
