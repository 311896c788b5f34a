/**
 * The operator's proxies: `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`, in either case, read as curl reads them. Which
 * hosts go without one is decided here, because Node knows neither address ranges (10.0.0.0/8) nor that `example.com` means its subdomains too.
 */
import { BlockList, isIP } from 'node:net';
import { Text2ImgError } from '../errors/text2img-error.ts';

export interface Proxies {
  /** For `http:` URLs. */
  readonly http: string | undefined;
  /** For `https:` URLs. */
  readonly https: string | undefined;
  /** Hosts that are asked directly: names, addresses, address ranges, each with or without a port; `*` is all. */
  readonly none: readonly string[];
}

export const NO_PROXIES: Proxies = { http: undefined, https: undefined, none: [] };

/** @throws `invalid_option` for a proxy that is none; its value, which may hold a password, is not quoted */
export function readProxies(environment: Readonly<Record<string, string | undefined>>): Proxies {
  const read = (name: string): { readonly name: string; readonly value: string } | undefined => {
    for (const key of [name.toLowerCase(), name]) {
      const value = environment[key]?.trim();
      if (value !== undefined && value !== '') return { name: key, value };
    }
    return undefined;
  };
  return {
    http: proxyUrl(read('HTTP_PROXY')),
    https: proxyUrl(read('HTTPS_PROXY')),
    none: (read('NO_PROXY')?.value ?? '')
      .toLowerCase()
      .split(/[\s,]+/)
      .filter((entry) => entry !== ''),
  };
}

function proxyUrl(given: { readonly name: string; readonly value: string } | undefined): string | undefined {
  if (given === undefined) return undefined;
  // As curl does it: a proxy without a scheme speaks http. Node would pass it over and connect directly.
  const url = URL.parse(/^[a-z][a-z0-9+.-]*:\/\//i.test(given.value) ? given.value : `http://${given.value}`);
  if (url !== null && /^https?:$/.test(url.protocol) && url.hostname !== '') return url.href;
  throw new Text2ImgError(
    'invalid_option',
    `${given.name} (not shown) is not allowed; it must be host:port or an http:// or https:// URL of a proxy.`,
  );
}

/** The proxy that serves the URL; undefined: it is asked directly. */
export function proxyFor(url: URL, proxies: Proxies): string | undefined {
  const proxy = url.protocol === 'https:' ? proxies.https : proxies.http;
  return proxy === undefined || goesDirectly(url, proxies.none) ? undefined : proxy;
}

function goesDirectly(url: URL, none: readonly string[]): boolean {
  const host = bare(url.hostname.toLowerCase());
  const port = url.port === '' ? (url.protocol === 'https:' ? '443' : '80') : url.port;
  return none.some((entry) => {
    if (entry === '*') return true;
    const [, name = entry, wantedPort] = /^(\[[^\]]+\]|[^:]+):(\d+)$/.exec(entry) ?? [];
    if (wantedPort !== undefined && wantedPort !== port) return false;
    const wanted = bare(name.replace(/^\*?\./, ''));
    return host === wanted || isWithin(host, wanted) || (isIP(host) === 0 && host.endsWith(`.${wanted}`));
  });
}

/** An address in a range like 10.0.0.0/8. */
function isWithin(address: string, range: string): boolean {
  const [network = '', bits = ''] = range.split('/');
  const family = isIP(network);
  if (family === 0 || family !== isIP(address) || !/^\d{1,3}$/.test(bits) || Number(bits) > (family === 4 ? 32 : 128))
    return false;
  const list = new BlockList();
  const type = family === 4 ? 'ipv4' : 'ipv6';
  list.addSubnet(network, Number(bits), type);
  return list.check(address, type);
}

function bare(hostname: string): string {
  return hostname.replace(/^\[|\]$/g, '');
}
