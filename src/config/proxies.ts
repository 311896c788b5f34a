/** The variables that name the operator's proxies, for the hub and his webhook; Google's client reads the same ones itself. */
import { type Proxies, readProxies } from '../lib/proxies.ts';
import { type Environment, processEnvironment } from './environment.ts';

/** @throws `invalid_option` */
export function proxyEnvironment(environment: Environment = processEnvironment()): Proxies {
  return readProxies(environment);
}
