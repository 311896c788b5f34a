/** Options: the queue and the store. */
import { DEFAULT_OBJECT_PREFIX } from '../../storage/object-prefix.ts';
import { QUEUE_COMMANDS, option, type OptionSpec, WORKING } from './option-spec.ts';
import { bucketName, collectionName, mongoUri, objectPrefix } from './strict-names.ts';
import { matching, onOrOff, text } from './value-types.ts';

export const QUEUE_OPTIONS = {
  mongoUri: option({
    placeholder: '<uri>',
    type: mongoUri,
    doc: 'MongoDB database with the queue. "run", "serve" and "mcp" need --gcs-bucket as well.',
    allowed: 'like mongodb://host:27017/my-database',
    commands: QUEUE_COMMANDS,
    environment: 'MONGO_URI',
    secret: true,
  }),
  collection: option({
    placeholder: '<name>',
    type: collectionName,
    default: 'prompts',
    doc: 'MongoDB collection of the prompts.',
    allowed: 'a name of at most 190 bytes without $, dots at its ends, two dots in a row and system. at its start',
    commands: QUEUE_COMMANDS,
  }),
  gcsBucket: option({
    placeholder: '<name>',
    type: bucketName,
    doc: 'Google Cloud Storage bucket for the images. Needs --mongo-uri.',
    allowed: 'a bucket’s name without gs:// and slashes: 3 to 222 of a-z, 0-9, dot, dash and underscore',
    commands: QUEUE_COMMANDS,
    // Only `jobs retry --adopt` looks into it.
    actions: ['retry'],
    environment: 'GCS_BUCKET',
  }),
  gcsPrefix: option({
    placeholder: '<prefix>',
    type: objectPrefix,
    mayBeEmpty: true,
    default: DEFAULT_OBJECT_PREFIX,
    doc: 'First part of the images’ names, in the bucket or the data folder.',
    allowed: 'letters, digits, and . _ - / up to 200 characters, without empty parts and the parts . and ..',
    commands: [...WORKING, 'jobs'],
    actions: ['retry'],
  }),
  dataDir: option({
    placeholder: '<folder>',
    type: text,
    kind: 'path',
    default: './text2img-data',
    doc: 'Folder of the embedded queue and its images.',
    allowed: 'a folder',
    commands: QUEUE_COMMANDS,
  }),
  allowUnknownFields: option({
    type: onOrOff,
    default: 'off',
    doc: 'Keep fields of a file whose names look like misspelled ones.',
    allowed: 'on or off',
    commands: ['enqueue'],
  }),
  embedded: option({
    type: onOrOff,
    default: 'off',
    doc: 'Allow the embedded queue inside a container. Mount a volume at --data-dir, or its data is lost.',
    allowed: 'on or off',
    commands: QUEUE_COMMANDS,
  }),
  jobModel: option({
    placeholder: '<name>',
    type: matching(/^.{1,200}$/su),
    flag: '--model',
    doc: 'Model of the jobs, by the name that a worker’s --models gives it: enqueue adds jobs for it, jobs list shows its jobs only.',
    allowed: 'a name of at most 200 characters',
    commands: ['enqueue', 'jobs'],
    actions: ['list'],
  }),
} as const satisfies Record<string, OptionSpec>;
