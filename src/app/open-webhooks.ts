/** The webhooks' two halves out of the options: what a finished prompt owes, and who sends it. */
import { proxyEnvironment } from '../config/proxies.ts';
import { Text2ImgError } from '../errors/text2img-error.ts';
import type { PromptQueue } from '../queue/prompt-queue.ts';
import { VERSION } from '../version.ts';
import { WebhookDeliverer } from '../webhook/deliverer.ts';
import { isWeakKey, parseWebhookSecrets } from '../webhook/signature.ts';
import { WebhookPolicy } from '../webhook/webhook-policy.ts';
import type { CommandContext } from '../cli/command-context.ts';

/** Tries that fall due within this time are made before a drain ends. */
export const DELIVERY_DRAIN_MS = 30_000;

/** @param publicUrl what a receiver gets instead of the stored URL */
export function webhookPolicy(
  { config }: CommandContext,
  publicUrl: (storedUrl: string) => Promise<string>,
): WebhookPolicy {
  return new WebhookPolicy({
    hasOperatorUrl: config.callbackUrl !== undefined,
    events: config.callbackEvents,
    guard: { allowedHosts: config.callbackAllowHosts },
    publicUrl,
  });
}

/** @throws `invalid_option` for a secret or a proxy that is none, `conflicting_options` for a secret that nothing is signed with */
export function webhookDeliverer({ config, logger }: CommandContext, queue: PromptQueue): WebhookDeliverer {
  const secrets = config.webhookSecret === undefined ? [] : parseWebhookSecrets(config.webhookSecret);
  if (secrets.length > 0 && config.callbackUrl === undefined) {
    throw new Text2ImgError(
      'conflicting_options',
      '--webhook-secret needs --callback-url: only what goes to the operator’s own URL is signed.',
    );
  }
  if (secrets.some(isWeakKey))
    logger.warning('a webhook secret is weak: it repeats a few bytes, and anybody could guess it', {
      instead: 'whsec_ and what "openssl rand -base64 32" prints',
    });
  return new WebhookDeliverer({
    outbox: queue.outbox,
    logger,
    operatorUrl: config.callbackUrl,
    secrets,
    guard: { allowedHosts: config.callbackAllowHosts },
    proxies: proxyEnvironment(),
    userAgent: `text2img/${VERSION}`,
  });
}
