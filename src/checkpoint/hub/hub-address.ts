/** An address of the hub that people copy out of their browser, read as the name of a model or of one file. */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { quote } from '../../lib/foreign-text.ts';
import { type HubId, parseHubId } from './hub-id.ts';

/** `blob` is the page of a file, `resolve` and `raw` its content, `tree` a folder's page. */
const VIEWS = new Set(['blob', 'resolve', 'raw', 'tree']);
/** The hub's own short host, which leads to it. */
const SHORT_HOSTS: Readonly<Record<string, string>> = { 'hf.co': 'huggingface.co' };

export function isAddress(text: string): boolean {
  return /^https?:\/\//i.test(text);
}

/**
 * @param endpoint the hub's own address, or its mirror's
 * @throws `invalid_option` for an address of another host, or of something that is no model
 */
export function parseHubAddress(text: string, endpoint: string): HubId {
  const [url, hub] = [URL.parse(text), URL.parse(endpoint)];
  if (url === null || hub === null || hostOf(url) !== hub.host)
    throw new Text2ImgError(
      'invalid_option',
      `the model ${quote(text)} is an address on another host than the hub's, ${hub?.host}. Download the file and name it, or set HF_ENDPOINT.`,
    );
  const base = hub.pathname.replace(/\/+$/, '');
  const path = url.pathname.startsWith(`${base}/`) ? url.pathname.slice(base.length + 1) : '';
  const hubId = readParts(path.split('/').map(decoded));
  if (hubId !== undefined) return hubId;
  throw new Text2ImgError(
    'invalid_option',
    `the model ${quote(text)} is no address of a model; it must be like ${endpoint}/owner/name or ${endpoint}/owner/name/blob/main/file.safetensors.`,
  );
}

function hostOf({ host }: URL): string {
  return (Object.hasOwn(SHORT_HOSTS, host) ? SHORT_HOSTS[host] : undefined) ?? host;
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** owner, name, and where a file is meant: view, revision, path. */
function readParts([owner = '', name = '', view, revision, ...path]: readonly string[]): HubId | undefined {
  if (view === undefined || view === '') return parseHubId(`${owner}/${name}`);
  if (!VIEWS.has(view) || revision === undefined || revision === '') return undefined;
  const file = view === 'tree' ? '' : `/${path.join('/')}`;
  return parseHubId(`${owner}/${name}${file}@${revision}`);
}
