/** Options: webhooks, and the image URLs in them. */
import { WEBHOOK_COMMANDS, option, type OptionSpec, WORKING } from './option-spec.ts';
import { publicBase, webhookSecrets, webUrl } from './strict-names.ts';
import { eventList, hostList, onOrOff } from './value-types.ts';

export const WEBHOOK_OPTIONS = {
  callbackUrl: option({
    placeholder: '<url>',
    type: webUrl,
    kind: 'url',
    doc: 'Webhook URL for the results of jobs.',
    allowed: 'an http:// or https:// URL',
    commands: [...WEBHOOK_COMMANDS, 'doctor'],
    actions: ['deliver'],
    environment: 'CALLBACK_URL',
  }),
  callbackEvents: option({
    placeholder: '<events>',
    type: eventList,
    default: 'completed',
    doc: 'Jobs to report: completed, error, or both with a comma.',
    allowed: 'completed, error or completed,error',
    commands: WORKING,
  }),
  callbackAllowHosts: option({
    placeholder: '<hosts>',
    type: hostList,
    mayBeEmpty: true,
    default: '',
    doc: 'Extra hosts allowed in a document’s callback_url, as host or host:port, with commas. They may be private or use plain http.',
    allowed: 'host names, with or without a port, separated by commas',
    commands: WEBHOOK_COMMANDS,
    actions: ['deliver'],
  }),
  webhookSecret: option({
    placeholder: '<secret>',
    type: webhookSecrets,
    doc: 'Secret that signs webhooks (Standard Webhooks): whsec_…. Give two with a comma to rotate it.',
    allowed: 'whsec_ and the base64 of 24 to 64 random bytes',
    commands: WEBHOOK_COMMANDS,
    actions: ['deliver'],
    secret: true,
  }),
  publicUrlBase: option({
    placeholder: '<url>',
    type: publicBase,
    kind: 'url',
    doc: 'Public URL of the bucket or data folder. Webhooks then carry image URLs below it.',
    allowed: 'an http:// or https:// URL without user, ? and #',
    commands: WORKING,
  }),
  signedUrls: option({
    type: onOrOff,
    default: 'off',
    doc: 'Send image URLs that work for 7 days without an account. Needs a service account’s key file.',
    allowed: 'on or off',
    commands: WORKING,
  }),
} as const satisfies Record<string, OptionSpec>;
