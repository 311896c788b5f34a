/** Node's own agents make the tunnel through a proxy. A file of its own, because `node:http` costs a start more than all our own code. */
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { type Proxies, proxyFor } from './proxies.ts';

/** An agent for one request: through the proxy that serves the URL, or directly. Its connections are not kept. */
export function agentFor(url: URL, proxies: Proxies): HttpAgent {
  const isTls = url.protocol === 'https:';
  const proxy = proxyFor(url, proxies);
  const proxyEnv = proxy === undefined ? {} : { [isTls ? 'HTTPS_PROXY' : 'HTTP_PROXY']: proxy };
  return isTls ? new HttpsAgent({ proxyEnv }) : new HttpAgent({ proxyEnv });
}
