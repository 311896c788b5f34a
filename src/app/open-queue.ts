/** Opens the queue that the settings name: a file in the data folder, or MongoDB. Only the chosen one's code is loaded. */
import { join } from 'node:path';
import type { Logger } from '../observability/logger.ts';
import type { PromptQueue } from '../queue/prompt-queue.ts';
import type { QueueSettings } from './settings.ts';

export interface OpenQueueOptions {
  readonly logger: Logger;
  /** For commands that add nothing: where there is no queue yet, none is made, and it looks empty. */
  readonly looksOnly?: boolean;
}

/** MongoDB is not asked yet. @throws `queue_failed`, `disk_full` */
export async function openQueue(
  { mode, mongoUriName, collection, ...common }: QueueSettings,
  { logger, looksOnly = false }: OpenQueueOptions,
): Promise<PromptQueue> {
  if (mode.kind === 'production') {
    const { MongoPromptQueue } = await import('../queue/mongo/mongo-prompt-queue.ts');
    return new MongoPromptQueue({ uri: mode.mongoUri, uriName: mongoUriName, collection, logger, ...common });
  }
  const { SqlitePromptQueue } = await import('../queue/sqlite/sqlite-prompt-queue.ts');
  return new SqlitePromptQueue({ path: join(mode.dataDir, 'queue.sqlite'), looksOnly, ...common });
}
