/** Opens the webhooks' two halves: the policy decides the webhook of a finished job, and the deliverer sends it. */
import { Text2ImgError } from '../errors/text2img-error.ts';
import { omitUndefined } from '../lib/omit-undefined.ts';
import type { Logger } from '../observability/logger.ts';
import type { WebhookOutbox } from '../queue/webhook-outbox.ts';
import { VERSION } from '../version.ts';
import { WebhookDeliverer, type DelivererOptions as WebhookDelivererOptions } from '../webhook/deliverer.ts';
import { isWeakKey, parseWebhookSecrets } from '../webhook/webhook-keys.ts';
import { WebhookPolicy } from '../webhook/webhook-policy.ts';
import type { WebhookSettings } from './settings.ts';

/** Attempts that fall due within this time are made before a drain ends. */
export const DELIVERY_DRAIN_MS = 30_000;

/** @param publicUrl turns the stored URL into the one that webhooks carry */
export function webhookPolicy(
  { operatorUrl, events, allowedHosts }: WebhookSettings,
  publicUrl: (storedUrl: string) => Promise<string>,
): WebhookPolicy {
  return new WebhookPolicy({
    hasOperatorUrl: operatorUrl !== undefined,
    events,
    guard: { allowedHosts },
    publicUrl,
  });
}

export interface DelivererOptions {
  readonly outbox: WebhookOutbox;
  readonly logger: Logger;
  readonly onOutcome?: WebhookDelivererOptions['onOutcome'];
}

/** @throws `invalid_option` for a secret that is none, `conflicting_options` for a secret that nothing is signed with */
export function webhookDeliverer(
  settings: WebhookSettings,
  { outbox, logger, onOutcome }: DelivererOptions,
): WebhookDeliverer {
  const { operatorUrl, allowedHosts, proxies } = settings;
  const secrets = settings.secrets === undefined ? [] : parseWebhookSecrets(settings.secrets);
  if (secrets.length > 0 && operatorUrl === undefined) {
    throw new Text2ImgError(
      'conflicting_options',
      '--webhook-secret needs --callback-url: only webhooks to that URL are signed.',
    );
  }
  if (secrets.some(isWeakKey))
    logger.warning('a webhook secret is weak: it repeats a few bytes, and anybody could guess it', {
      instead: 'whsec_ and what "openssl rand -base64 32" prints',
    });
  return new WebhookDeliverer({
    outbox,
    logger,
    operatorUrl,
    secrets,
    guard: { allowedHosts },
    proxies,
    userAgent: `text2img/${VERSION}`,
    ...omitUndefined({ onOutcome }),
  });
}
