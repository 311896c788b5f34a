/** Opens the queue and the image store that the options name. */
import { hostname } from 'node:os';
import { join } from 'node:path';
import { resolveMode } from '../config/load.ts';
import type { PromptQueue } from '../queue/prompt-queue.ts';
import { SqlitePromptQueue } from '../queue/sqlite/sqlite-prompt-queue.ts';
import { FileImageStore } from '../storage/file-image-store.ts';
import type { ImageStore } from '../storage/image-store.ts';
import type { CommandContext } from './command-context.ts';

const QUEUE_FILE = 'queue.sqlite';

/** @throws `conflicting_options`, `unsupported_option`, `queue_failed`, `disk_full` */
export async function openQueue({ config }: CommandContext): Promise<PromptQueue> {
  const { dataDir } = resolveMode(config);
  return new SqlitePromptQueue({
    path: join(dataDir, QUEUE_FILE),
    leaseMs: config.leaseSeconds * 1000,
    maxAttempts: config.maxAttempts,
    owner: `${hostname()}/${process.pid}`,
  });
}

/** Pictures lie in `generated/` of the data folder. @throws `conflicting_options`, `unsupported_option` */
export function openStore({ config }: CommandContext): ImageStore {
  return new FileImageStore(resolveMode(config).dataDir);
}
