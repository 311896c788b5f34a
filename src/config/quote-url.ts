/** How errors quote a URL of the operator: by scheme and host, because user, path and query may hold a token. */
import { quote } from '../lib/foreign-text.ts';

/** Shows nothing where the text has no recognisable host. */
export function quoteUrl(text: string): string {
  const url = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? URL.parse(text) : null;
  if (url === null || url.host === '') return '(not shown)';
  const shown = quote(`${url.protocol}//${url.host}`);
  const isWhole = /^[^/]*\/\/[^/?#@]*\/?$/.test(text);
  return isWhole ? shown : `${shown} (the rest is not shown)`;
}
