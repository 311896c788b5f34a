/** The path that a request is routed by: clients join their base URLs in many ways, and none of them should need a redirect. */

/** `//models` → `/models`, `/v1/v1/models` → `/v1/models`, `/models/` → `/models`. The query stays. A proxy's whole URL becomes its path. */
export function routedUrl(url: string): string {
  const start = pathStart(url);
  const mark = url.indexOf('?', start);
  const path = mark === -1 ? url.slice(start) : url.slice(start, mark);
  const query = mark === -1 ? '' : url.slice(mark);
  const single = `/${path}`.replaceAll(/\/{2,}/g, '/').replace(/^\/v1(?:\/v1)+(?=\/|$)/, '/v1');
  return `${single.length > 1 && single.endsWith('/') ? single.slice(0, -1) : single}${query}`;
}

/** Behind scheme and host, where a client sends them. */
function pathStart(url: string): number {
  const scheme = /^https?:\/\//i.exec(url)?.[0];
  if (scheme === undefined) return 0;
  const end = url.slice(scheme.length).search(/[/?]/);
  return end === -1 ? url.length : scheme.length + end;
}
