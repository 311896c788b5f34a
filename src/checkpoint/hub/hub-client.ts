/**
 * The hub's API: the commit of a revision, and the files in it. The hub's own client makes the URLs and follows the pages.
 * Every request and every answer goes through `ask`. It repeats requests that may succeed later, limits an answer's size, sends the token to the
 * hub only, and reads the answer through a schema.
 */
import { listFiles, modelInfo } from '@huggingface/hub';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { quote } from '../../lib/foreign-text.ts';
import { retry } from '../../lib/retry.ts';
import { omitUndefined } from '../../lib/omit-undefined.ts';
import { type HubFile, parseJson, readFileList, readRevision } from './hub-answers.ts';
import { busy, networkError, refusal, Trouble, unreachable } from './hub-errors.ts';
import { type HubId, isCommit } from './hub-id.ts';
import { get, type HubAccess, hubUrl, readText } from './hub-request.ts';

export interface AskOptions {
  readonly access: HubAccess;
  /** Tries of one request; fewer where the cache can serve instead. */
  readonly tries?: number;
  readonly firstPauseMs?: number;
}

/** One answer of the API: its head, and then its body. */
const TIMEOUT_MS = 15_000;
/** A page has 1000 files. */
const MAX_ANSWER_BYTES = 16 * 1024 * 1024;
const MAX_PAGES = 100;
const TRIES = 5;
const MAX_PAUSE_MS = 10_000;
/** No further try is begun after that. */
const PATIENCE_MS = 90_000;

/** @throws `model_not_found`, `model_gated`, `download_failed` */
export async function resolveCommit(hubId: HubId, options: AskOptions): Promise<string> {
  const { id, revision } = hubId;
  const what = `the model ${id} at revision ${quote(revision)}`;
  let commit = '';
  const fetch = asking(hubId, options, (value) => void (commit = readRevision(value, what)));
  await modelInfo({ name: id, revision, additionalFields: ['sha'], hubUrl: baseOf(options), fetch });
  if (isCommit(revision) && commit !== revision)
    throw new Text2ImgError(
      'download_failed',
      `the hub answers with the commit ${commit} where ${revision} was asked for.`,
    );
  return commit;
}

/** @throws `model_not_found`, `model_gated`, `download_failed` */
export async function listRepository(hubId: HubId, options: AskOptions): Promise<readonly HubFile[]> {
  const { id, revision } = hubId;
  const what = `the files of ${id} at revision ${quote(revision)}`;
  const files: HubFile[] = [];
  const fetch = asking(hubId, options, (value) => void files.push(...readFileList(value, what)));
  const pages = listFiles({ repo: id, revision, recursive: true, hubUrl: baseOf(options), fetch });
  for await (const _ of pages);
  return files;
}

function baseOf({ access }: AskOptions): string {
  return hubUrl(access).href.replace(/\/+$/, '');
}

/**
 * The `fetch` of the hub's client. The client does not get the token, because it accepts only tokens of the hub's own kind.
 * @param read throws for an answer that is none
 */
function asking(hubId: HubId, options: AskOptions, read: (value: unknown) => void): typeof fetch {
  let pages = 0;
  return async (input) => {
    if (++pages > MAX_PAGES)
      throw new Text2ImgError('download_failed', `the list of files of ${hubId.id} has more than ${MAX_PAGES} pages.`);
    const url = atHome(new URL(input instanceof Request ? input.url : input), options.access);
    const { text, contentType, link } = await askPatiently(url, hubId, options);
    read(parseJson(text, { what: `the model ${hubId.id}`, contentType }));
    return new Response(text, {
      headers: { 'content-type': 'application/json', ...omitUndefined({ link }) },
    });
  };
}

/** A mirror's list may go on at the hub that it mirrors. We ask the mirror for the same page, and send nothing to another server. */
function atHome(url: URL, access: HubAccess): URL {
  const home = hubUrl(access);
  if (url.origin === home.origin) return url;
  const base = home.pathname.replace(/\/+$/, '');
  home.pathname = url.pathname.startsWith(`${base}/`) ? url.pathname : `${base}${url.pathname}`;
  home.search = url.search;
  return home;
}

interface Answer {
  readonly text: string;
  readonly contentType: string | undefined;
  readonly link: string | undefined;
}

async function askPatiently(url: URL, hubId: HubId, options: AskOptions): Promise<Answer> {
  const { access, tries = TRIES, firstPauseMs = 500 } = options;
  try {
    return await retry(() => ask(url, hubId, access), {
      firstMs: firstPauseMs,
      maxMs: MAX_PAUSE_MS,
      mayHelp: (error) => error instanceof Trouble,
      maxAttempts: tries,
      deadlineMs: PATIENCE_MS,
      minPauseMs: (error) => (error instanceof Trouble ? error.retryAfterMs : 0),
    });
  } catch (error) {
    throw unreachable(access, error);
  }
}

async function ask(url: URL, hubId: HubId, access: HubAccess): Promise<Answer> {
  try {
    const answer = await get(access, { url, headers: { accept: 'application/json' }, headTimeoutMs: TIMEOUT_MS });
    const { statusCode: status = 0, headers } = answer;
    if (status !== 200) {
      answer.destroy();
      throw busy(status, headers) ?? refusal(hubId, { status, headers, access });
    }
    const text = await readText(answer, { maxBytes: MAX_ANSWER_BYTES, timeoutMs: TIMEOUT_MS });
    const { link } = headers;
    return { text, contentType: headers['content-type'], link: Array.isArray(link) ? link.join(', ') : link };
  } catch (error) {
    throw networkError(error, access);
  }
}
