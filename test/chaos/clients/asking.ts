/** What a client of any kind needs. */
import type { Random } from '../random.ts';
import type { ClientRequest } from './client-record.ts';

export interface Asking {
  readonly request: ClientRequest;
  readonly random: Random;
  /** Of the request's API key. */
  readonly secret: string;
  /** Where the next attempt goes, as a load balancer would say. */
  readonly pickServer: () => string | undefined;
  /** A document of another key that somebody was answered with; undefined: there is none yet. */
  readonly foreignId: () => string | undefined;
}
