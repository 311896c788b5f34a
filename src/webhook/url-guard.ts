/**
 * A URL that comes from a document is hostile: it must not make the service reach into the network that it stands in. Only https on 443 or 8443 to
 * globally routed addresses is allowed. Every address of a name is checked at the moment of connecting, and the connection goes to an address that
 * was checked. `--callback-allow-hosts` lifts it for named hosts. The operator's own URL is not guarded.
 */
import { lookup as systemLookup, type LookupAddress } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import ipaddr from 'ipaddr.js';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { quote } from '../lib/foreign-text.ts';
import { type Lookup, LookupQueue } from './lookup-queue.ts';

const PORTS: ReadonlySet<string> = new Set(['443', '8443']);
/** Globally routed by its number, but a cloud's own metadata and health service. */
const PLATFORM_ADDRESSES: ReadonlySet<string> = new Set(['168.63.129.16']);
/** All of IPv6 that is given out to be routed globally (IANA, "IPv6 Global Unicast Address Assignments"); ipaddr.js calls the unassigned rest unicast too. */
const GLOBAL_IPV6 = ipaddr.IPv6.parseCIDR('2000::/3');
/** Browsers and proxies accept at least so many characters. */
const MAX_URL_LENGTH = 2048;
/** Of the four threads that look names up. One is left for the operator's own name, one for files and images. */
const DOCUMENT_NAMES = new LookupQueue({ atOnce: 2, patienceMs: 15_000 });

export interface UrlGuard {
  /** `host` or `host:port`, in lower case. */
  readonly allowedHosts: ReadonlySet<string>;
}

/**
 * Checks as much as is possible without asking the network. The error names scheme and host only: a path may hold a token.
 * @throws `invalid_parameter` with what is allowed
 */
export function checkDocumentUrl(text: string, guard: UrlGuard): URL {
  const url = text.length <= MAX_URL_LENGTH ? URL.parse(text) : null;
  const shown = url === null ? `a text of ${text.length} characters` : quote(`${url.protocol}//${url.host}/…`);
  const refuse = (why: string): Text2ImgError =>
    new Text2ImgError('invalid_parameter', `"callback_url" is ${shown}; ${why}.`);
  if (text.length > MAX_URL_LENGTH) throw refuse(`at most ${MAX_URL_LENGTH} are allowed`);
  if (url === null || !/^https?:$/.test(url.protocol)) throw refuse('allowed are https:// URLs');
  if (url.username !== '' || url.password !== '') throw refuse('credentials in it are not allowed');
  if (isAllowed(url, guard)) return url;
  if (url.protocol !== 'https:') throw refuse('allowed are https:// URLs');
  if (!PORTS.has(portOf(url))) throw refuse('allowed are the ports 443 and 8443');
  const address = literalAddress(url);
  if (address !== undefined && !isGlobal(address)) throw refuse('its address is not a public one');
  return url;
}

export function isAllowed(url: URL, { allowedHosts }: UrlGuard): boolean {
  const hostname = url.hostname.toLowerCase();
  return allowedHosts.has(hostname) || allowedHosts.has(`${hostname}:${portOf(url)}`);
}

/** The scheme's own where none is written: a `URL` leaves that one out even where it was written. */
function portOf({ port, protocol }: URL): string {
  return port !== '' ? port : protocol === 'https:' ? '443' : '80';
}

/** Globally routed unicast, and nobody's private service. */
export function isGlobal(address: string): boolean {
  if (!ipaddr.isValid(address) || PLATFORM_ADDRESSES.has(address)) return false;
  const parsed = ipaddr.parse(address);
  if (parsed.range() !== 'unicast') return false;
  return parsed instanceof ipaddr.IPv6 ? parsed.match(GLOBAL_IPV6) : true;
}

/** An address written as the host: no name is looked up for it. */
function literalAddress({ hostname }: URL): string | undefined {
  const bare = hostname.replace(/^\[|\]$/g, '');
  return isIP(bare) === 0 ? undefined : bare;
}

/** Looks a document's name up and refuses it if any of its addresses is not global. @param lookup another resolver, for tests */
export function guardedLookup(lookup: Lookup = systemLookup): LookupFunction {
  return queuedLookup(DOCUMENT_NAMES, { lookup, check: true });
}

/** As `guardedLookup`, for a document's host that the operator allowed, which may be private. */
export function allowedLookup(lookup: Lookup = systemLookup): LookupFunction {
  return queuedLookup(DOCUMENT_NAMES, { lookup, check: false });
}

function queuedLookup(
  queue: LookupQueue,
  { lookup, check }: { readonly lookup: Lookup; readonly check: boolean },
): LookupFunction {
  return (hostname, options, callback) => {
    queue.find({ lookup, hostname, options: { ...options, all: true } }, (error, addresses: LookupAddress[]) => {
      if (error !== null) return callback(error, '', 0);
      const bad = check ? addresses.find(({ address }) => !isGlobal(address)) : undefined;
      const [first] = addresses;
      if (bad !== undefined || first === undefined) {
        const message = `the name ${quote(hostname)} has the address ${bad?.address ?? 'none'}, which is not a public one.`;
        return callback(new Text2ImgError('webhook_refused', message), '', 0);
      }
      // Node asks for all of them when it tries the families side by side.
      return options.all === true ? callback(null, addresses) : callback(null, first.address, first.family);
    });
  };
}
