/** Options: where prompts and pictures are, and who hears of them. */
import { z } from 'zod';
import { DEFAULT_OBJECT_PREFIX } from '../storage/object-key.ts';
import { option, QUEUE_COMMANDS, WEBHOOK_COMMANDS, type OptionSpec } from './option-spec.ts';
import { eventList, hostList, onOrOff, text } from './value-schemas.ts';

export const PLACE_OPTIONS = {
  // where prompts and pictures are
  mongoUri: option({
    placeholder: '<uri>',
    schema: text,
    doc: 'MongoDB that holds the prompts; needs --gcs-bucket.',
    allowed: 'a mongodb:// or mongodb+srv:// URI',
    commands: QUEUE_COMMANDS,
    environment: 'MONGO_URI',
    secret: true,
  }),
  gcsBucket: option({
    placeholder: '<name>',
    schema: text,
    doc: 'Google Cloud Storage bucket for the pictures; needs --mongo-uri.',
    allowed: 'a bucket name',
    commands: QUEUE_COMMANDS,
    environment: 'GCS_BUCKET',
  }),
  callbackUrl: option({
    placeholder: '<url>',
    schema: z.url({ protocol: /^https?$/ }),
    doc: 'Webhook that hears of every finished prompt.',
    allowed: 'an http:// or https:// URL',
    commands: WEBHOOK_COMMANDS,
    environment: 'CALLBACK_URL',
  }),
  callbackEvents: option({
    placeholder: '<events>',
    schema: eventList,
    default: 'completed',
    doc: 'What the webhook hears of: completed, error, or both with a comma.',
    allowed: 'completed, error or completed,error',
    commands: ['run'],
  }),
  callbackAllowHosts: option({
    placeholder: '<hosts>',
    schema: hostList,
    default: '',
    doc: 'Hosts that a document’s callback_url may name although they are private or not https (host or host:port, with commas).',
    allowed: 'host names, with or without a port, separated by commas',
    commands: WEBHOOK_COMMANDS,
  }),
  webhookSecret: option({
    placeholder: '<secret>',
    schema: text,
    doc: 'Signs webhooks (Standard Webhooks): whsec_…; several with commas while they are rotated.',
    allowed: 'whsec_ and the base64 of 24 to 64 random bytes',
    commands: WEBHOOK_COMMANDS,
    secret: true,
  }),
  gcsPrefix: option({
    placeholder: '<prefix>',
    schema: z.string().regex(/^(?!\/)[\w./-]{0,200}$/),
    default: DEFAULT_OBJECT_PREFIX,
    doc: 'What the pictures’ names begin with, in the bucket or the data folder.',
    allowed: 'letters, digits, and . _ - / up to 200 characters, not beginning with /',
    commands: ['run'],
  }),
  publicUrlBase: option({
    placeholder: '<url>',
    schema: z.url({ protocol: /^https?$/ }),
    doc: 'Where the bucket is seen from outside: webhooks then name pictures by this URL and their name.',
    allowed: 'an http:// or https:// URL',
    commands: ['run'],
  }),
  signedUrls: option({
    schema: onOrOff,
    default: 'off',
    doc: 'Webhooks name pictures by links that work for 7 days without an account; needs a key file.',
    allowed: 'on or off',
    commands: ['run'],
  }),
  collection: option({
    placeholder: '<name>',
    schema: z.string().regex(/^[^$\0]{1,120}$/),
    default: 'prompts',
    doc: 'MongoDB collection of the prompts.',
    allowed: 'a collection name',
    commands: QUEUE_COMMANDS,
  }),
  dataDir: option({
    placeholder: '<folder>',
    schema: text,
    default: './text2img-data',
    doc: 'Folder of the embedded queue and its pictures.',
    allowed: 'a folder',
    commands: QUEUE_COMMANDS,
  }),
} as const satisfies Record<string, OptionSpec>;
