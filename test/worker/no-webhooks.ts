/** The webhook policy of workers whose operator wants none: what `run` makes without `--callback-url`. */
import { WebhookPolicy } from '../../src/webhook/webhook-policy.ts';

export const NO_WEBHOOKS = new WebhookPolicy({
  hasOperatorUrl: false,
  events: new Set(['completed'] as const),
  guard: { allowedHosts: new Set() },
  publicUrl: async (url) => url,
});
