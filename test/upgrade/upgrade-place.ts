/** One queue that workers of both versions use: the embedded one, or MongoDB with a bucket. Each with what a test must reach into. */
import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { MongoClient } from 'mongodb';
import { temporaryFolder } from '../e2e/run-cli.ts';
import { GcsServer } from '../servers/gcs-server.ts';
import type { MongoServers } from '../servers/mongod.ts';

export interface UpgradePlace extends AsyncDisposable {
  readonly environment: Readonly<Record<string, string>>;
  /** Makes every webhook that is owed due now. */
  makeDue(): Promise<void>;
  /** Resolves when a worker has claimed the job. */
  untilClaimed(id: string): Promise<void>;
  /** The names of the stored images. */
  images(): readonly string[];
}

async function until(holds: () => Promise<boolean> | boolean): Promise<void> {
  while (!(await holds())) await sleep(10);
}

export async function embeddedPlace(): Promise<UpgradePlace> {
  const folder = temporaryFolder();
  const withFile = <T>(use: (file: DatabaseSync) => T): T => {
    const file = new DatabaseSync(join(folder, 'queue.sqlite'), { timeout: 5000 });
    try {
      return use(file);
    } finally {
      file.close();
    }
  };
  return {
    environment: { TEXT2IMG_DATA_DIR: folder },
    makeDue: async () => withFile((file) => file.exec("UPDATE webhooks SET due_ms = 0 WHERE state = 'pending'")),
    untilClaimed: (id) =>
      until(() =>
        withFile((file) => {
          const [row] = file.prepare('SELECT status FROM prompts WHERE id = ?').all(id);
          return row?.['status'] === 'processing';
        }),
      ),
    images: () => readdirSync(join(folder, 'generated')).filter((name) => name.endsWith('.png')),
    [Symbol.asyncDispose]: async () => {},
  };
}

export async function mongoPlace(servers: MongoServers): Promise<UpgradePlace> {
  const uri = servers.uri(`upgrade${randomBytes(4).toString('hex')}`);
  const gcs = await GcsServer.start();
  const client = new MongoClient(uri);
  const prompts = client.db().collection('prompts');
  return {
    environment: { MONGO_URI: uri, GCS_BUCKET: 'pictures', STORAGE_EMULATOR_HOST: gcs.url },
    makeDue: async () => {
      const now = new Date();
      await prompts.updateMany(
        { 'job.hooks.state': 'pending' },
        { $set: { 'job.hook_due': now, 'job.hooks.$[owed].due': now } },
        { arrayFilters: [{ 'owed.state': 'pending' }] },
      );
    },
    untilClaimed: (id) =>
      until(async () => (await prompts.countDocuments({ _id: id, status: 'processing' } as never)) > 0),
    images: () =>
      [...gcs.history.keys()].map((name) => name.replace('generated/', '')).filter((name) => name.endsWith('.png')),
    [Symbol.asyncDispose]: async () => {
      await client.close();
      await gcs[Symbol.asyncDispose]();
    },
  };
}
