/** The contract of API keys: which key a request's secret belongs to. `key-file.ts` keeps it. */
import type { ApiKey } from '../front/caller.ts';

export interface KeyRing {
  /** @returns undefined for a secret that no key has, or no longer has */
  find(secret: string): Promise<ApiKey | undefined>;
}
