/**
 * Opens the queue and the store that the options name. For now that is the embedded pair in `--data-dir`.
 */
import { hostname } from 'node:os';
import { join } from 'node:path';
import { resolveMode } from '../config/load.ts';
import { SqlitePromptQueue } from '../queue/sqlite/sqlite-prompt-queue.ts';
import type { PromptQueue } from '../queue/prompt-queue.ts';
import { FileImageStore } from '../storage/file-image-store.ts';
import type { ImageStore } from '../storage/image-store.ts';
import type { CommandContext } from './command-context.ts';

/** @throws `conflicting_options`, `unsupported_option`, `queue_failed`, `disk_full` */
export function openQueue({ config, logger }: CommandContext): PromptQueue {
  const { dataDir } = resolveMode(config);
  const path = join(dataDir, 'queue.sqlite');
  logger.debug('opening the queue', { path });
  return new SqlitePromptQueue({
    path,
    leaseMs: config.leaseSeconds * 1000,
    maxAttempts: config.maxAttempts,
    owner: `${hostname()}:${process.pid}`,
  });
}

/** @throws `conflicting_options`, `unsupported_option` */
export function openStore({ config }: CommandContext): ImageStore {
  return new FileImageStore(resolveMode(config).dataDir);
}
