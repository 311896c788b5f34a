/** Which queue and store to use: the embedded pair, or MongoDB and a bucket. */
import { Text2ImgError } from '../errors/text2img-error.ts';
import { type Environment, stated } from './environment.ts';
import type { Config } from './options.ts';

/** Where the jobs are. Commands that store no images need no more. */
export type QueueMode =
  | { readonly kind: 'embedded'; readonly dataDir: string }
  | { readonly kind: 'production'; readonly mongoUri: string };

export type Mode =
  | { readonly kind: 'embedded'; readonly dataDir: string }
  | { readonly kind: 'production'; readonly mongoUri: string; readonly gcsBucket: string };

/**
 * Which queue to use. A bucket without a database is a conflict: the embedded queue would not be the one that was meant.
 * @throws `conflicting_options` as `resolveMode`
 */
export function resolveQueueMode(config: Config, environment: Environment): QueueMode {
  const { mongoUri, gcsBucket } = config;
  if (mongoUri !== undefined && gcsBucket === undefined) return { kind: 'production', mongoUri };
  return resolveMode(config, environment);
}

/**
 * Which queue and store to use.
 * @throws `conflicting_options` when only one half of the production path is named, or neither in a container
 */
export function resolveMode(config: Config, environment: Environment): Mode {
  const { mongoUri, gcsBucket } = config;
  if (mongoUri === undefined && gcsBucket === undefined) {
    // Our container image sets it: without an option, a worker would generate into a folder that is thrown away.
    if (stated(environment, 'TEXT2IMG_CONTAINER') === '1' && !config.embedded) {
      throw new Text2ImgError(
        'conflicting_options',
        'No queue is configured. Give --mongo-uri and --gcs-bucket, or --embedded to keep the queue inside this container. Mount a volume at --data-dir, or its data is lost.',
      );
    }
    return { kind: 'embedded', dataDir: config.dataDir };
  }
  if (mongoUri !== undefined && gcsBucket !== undefined) return { kind: 'production', mongoUri, gcsBucket };
  const [given, missing] = mongoUri === undefined ? ['--gcs-bucket', '--mongo-uri'] : ['--mongo-uri', '--gcs-bucket'];
  throw new Text2ImgError(
    'conflicting_options',
    `${given} needs ${missing}; give both, or neither for the embedded queue and store.`,
  );
}
