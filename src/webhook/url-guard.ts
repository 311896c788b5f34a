/**
 * A URL that comes from a document is hostile: it must not make the service reach into the network that it stands in. Only https on 443 or
 * 8443 to globally routed addresses; a name is checked at the moment of connecting, every address of it, and the connection goes to an
 * address that was checked. `--callback-allow-hosts` lifts it for named hosts. The operator's own URL is not guarded.
 */
import { lookup as systemLookup, type LookupAddress } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import ipaddr from 'ipaddr.js';
import { Text2ImgError } from '../errors/text2img-error.ts';

const PORTS: ReadonlySet<string> = new Set(['', '443', '8443']);
/** Globally routed by its number, but a cloud's own metadata and health service. */
const PLATFORM_ADDRESSES: ReadonlySet<string> = new Set(['168.63.129.16']);

export interface UrlGuard {
  /** `host` or `host:port`, in lower case. */
  readonly allowedHosts: ReadonlySet<string>;
}

/**
 * What can be said without asking the network.
 * @throws `invalid_parameter` with what is allowed
 */
export function checkDocumentUrl(text: string, guard: UrlGuard): URL {
  const refuse = (why: string): Text2ImgError => {
    const quoted = JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}…` : text);
    return new Text2ImgError('invalid_parameter', `"callback_url" is ${quoted}; ${why}.`);
  };
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) throw refuse('allowed are https:// URLs');
  if (url.username !== '' || url.password !== '') throw refuse('credentials in it are not allowed');
  if (isAllowed(url, guard)) return url;
  if (url.protocol !== 'https:') throw refuse('allowed are https:// URLs');
  if (!PORTS.has(url.port)) throw refuse('allowed are the ports 443 and 8443');
  const address = literalAddress(url);
  if (address !== undefined && !isGlobal(address)) throw refuse('its address is not a public one');
  return url;
}

export function isAllowed({ hostname, host }: URL, { allowedHosts }: UrlGuard): boolean {
  return allowedHosts.has(hostname.toLowerCase()) || allowedHosts.has(host.toLowerCase());
}

/** Globally routed unicast, and nobody's private service. */
export function isGlobal(address: string): boolean {
  return ipaddr.isValid(address) && ipaddr.parse(address).range() === 'unicast' && !PLATFORM_ADDRESSES.has(address);
}

/** An address written as the host: no name is looked up for it. */
function literalAddress({ hostname }: URL): string | undefined {
  const bare = hostname.replace(/^\[|\]$/g, '');
  return isIP(bare) === 0 ? undefined : bare;
}

/** Looks a name up and refuses it if any of its addresses is not global. @param lookup another resolver, for tests */
export function guardedLookup(lookup: typeof systemLookup = systemLookup): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, addresses: LookupAddress[]) => {
      if (error !== null) return callback(error, '', 0);
      const bad = addresses.find(({ address }) => !isGlobal(address));
      const [first] = addresses;
      if (bad !== undefined || first === undefined) {
        const message = `the name ${hostname} has the address ${bad?.address ?? 'none'}, which is not a public one.`;
        return callback(new Text2ImgError('webhook_refused', message), '', 0);
      }
      // Node asks for all of them when it tries the families side by side.
      return options.all === true ? callback(null, addresses) : callback(null, first.address, first.family);
    });
  };
}
