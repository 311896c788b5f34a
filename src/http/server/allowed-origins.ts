/**
 * Keeps web pages of other sites out. A browser sends a page's POST with `text/plain` anywhere without asking. And the owner
 * of a host name can point it at 127.0.0.1, which makes his page a page of this server. Programs send no `Origin`, and are not concerned.
 */
import { isIP } from 'node:net';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { quote } from '../../lib/foreign-text.ts';

export interface OriginRules {
  /** `--cors-origin`; `*` is every page. */
  readonly allowed: ReadonlySet<string>;
  /** Its host is the server's. */
  readonly publicUrl: string | undefined;
  /** `--allowed-hosts`, in lower case; `*` is every name. */
  readonly hosts: ReadonlySet<string>;
  /** The server asks for no key: then its host names are checked as well. A page without a key gets nothing from the others. */
  readonly checksHosts: boolean;
}

export interface AskedBy {
  readonly method: string;
  readonly origin: string | undefined;
  /** The header. */
  readonly host: string | undefined;
}

/** These change nothing, and without our leave a page cannot read the answer. */
const SAFE_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);
/** Nobody outside can own such a name: RFC 6761, 6762 and 8375, and ICANN's reservation of `internal`. */
const OWN_NAME = /^(?:[^.]+|.+\.(?:localhost|local|internal|home\.arpa))$/i;

/** @throws `origin_refused` */
export function checkOrigin({ method, origin, host }: AskedBy, rules: OriginRules): void {
  if (rules.checksHosts && host !== undefined && !isOwnHost(host, rules))
    throw new Text2ImgError(
      'origin_refused',
      `The host ${quote(host)} is not this server’s. Allow it with --allowed-hosts, or ask for keys with --api-keys.`,
    );
  if (origin === undefined || SAFE_METHODS.has(method)) return;
  if (isAllowedOrigin(origin, rules) || isSameOrigin(origin, host)) return;
  throw new Text2ImgError(
    'origin_refused',
    `Pages of ${quote(origin)} may not use this server. Allow them with --cors-origin ${/[\s'"]/.test(origin) ? 'ORIGIN' : origin}.`,
  );
}

/** Whether `access-control-allow-origin` says so. */
export function isAllowedOrigin(origin: string, { allowed }: Pick<OriginRules, 'allowed'>): boolean {
  return allowed.has('*') || allowed.has(origin.toLowerCase());
}

function isSameOrigin(origin: string, host: string | undefined): boolean {
  const named = hostOf(origin);
  return named !== undefined && named === host?.toLowerCase();
}

function isOwnHost(host: string, { publicUrl, hosts }: OriginRules): boolean {
  // A name may end in the root's dot.
  const name = host.toLowerCase().replace(/:\d*$/, '').replace(/\.$/, '');
  if (hosts.has('*') || hosts.has(name)) return true;
  if (isIP(name.replace(/^\[|\]$/g, '')) !== 0 || OWN_NAME.test(name)) return true;
  return publicUrl !== undefined && hostOf(publicUrl)?.replace(/:\d*$/, '') === name;
}

function hostOf(url: string): string | undefined {
  return URL.canParse(url) ? new URL(url).host : undefined;
}
