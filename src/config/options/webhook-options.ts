/** Options: who is told of finished jobs, and under which URLs images are named to them. */
import { WEBHOOK_COMMANDS, option, type OptionSpec } from './option-spec.ts';
import { publicBase, webhookSecrets, webUrl } from './strict-names.ts';
import { eventList, hostList, onOrOff } from './value-types.ts';

export const WEBHOOK_OPTIONS = {
  callbackUrl: option({
    placeholder: '<url>',
    type: webUrl,
    kind: 'url',
    doc: 'Webhook that hears of every finished prompt.',
    allowed: 'an http:// or https:// URL',
    commands: WEBHOOK_COMMANDS,
    environment: 'CALLBACK_URL',
  }),
  callbackEvents: option({
    placeholder: '<events>',
    type: eventList,
    default: 'completed',
    doc: 'What the webhook hears of: completed, error, or both with a comma.',
    allowed: 'completed, error or completed,error',
    commands: ['run'],
  }),
  callbackAllowHosts: option({
    placeholder: '<hosts>',
    type: hostList,
    mayBeEmpty: true,
    default: '',
    doc: 'Hosts that a document’s callback_url may name although they are private or not https (host or host:port, with commas).',
    allowed: 'host names, with or without a port, separated by commas',
    commands: WEBHOOK_COMMANDS,
  }),
  webhookSecret: option({
    placeholder: '<secret>',
    type: webhookSecrets,
    doc: 'Signs webhooks (Standard Webhooks): whsec_…; several with commas while they are rotated.',
    allowed: 'whsec_ and the base64 of 24 to 64 random bytes',
    commands: WEBHOOK_COMMANDS,
    secret: true,
  }),
  publicUrlBase: option({
    placeholder: '<url>',
    type: publicBase,
    kind: 'url',
    doc: 'Where the bucket is seen from outside: webhooks then name pictures by this URL and their name.',
    allowed: 'an http:// or https:// URL without user, ? and #',
    commands: ['run'],
  }),
  signedUrls: option({
    type: onOrOff,
    default: 'off',
    doc: 'Webhooks name pictures by links that work for 7 days without an account; needs a key file.',
    allowed: 'on or off',
    commands: ['run'],
  }),
} as const satisfies Record<string, OptionSpec>;
