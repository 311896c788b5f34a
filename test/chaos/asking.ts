/** What a client of any kind needs. */
import type { ClientRequest } from './client-record.ts';
import type { Random } from './random.ts';

export interface Asking {
  readonly request: ClientRequest;
  readonly random: Random;
  /** Where the next attempt goes, as a load balancer would say. */
  readonly pickServer: () => string | undefined;
}
