/** Frictions 4, 10 and 15: what is checked first, what `doctor` says, and a full disk. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { MongoClient } from 'mongodb';
import { NO_MONGOD } from '../../servers/find-mongod.ts';
import type { MongoServers } from '../../servers/mongod.ts';
import type { Neighbours } from './neighbours.ts';
import type { Place } from './places.ts';
import { Shell, SMALL_IMAGES } from './shell.ts';

export function testChecks(place: Place, { hub, hook, mongo, environment }: Neighbours): void {
  const shell = new Shell(place, 'checks', { ...SMALL_IMAGES, ...environment });
  const needsMongod = mongo === undefined ? { skip: NO_MONGOD } : {};
  const newDatabase = (): string => (mongo as MongoServers).uri(`frictions${randomBytes(4).toString('hex')}`);

  test('4: options and the database are checked before a model is fetched', async () => {
    const asked = hub.requests.length;
    await shell.type('MONGO_URI=mongodb://127.0.0.1:27117 text2img run --model owner/demo', {
      code: 2,
      says: /names no database.*\[invalid_option\]\n$/,
    });
    await shell.type(
      'MONGO_URI="mongodb://127.0.0.1:1/app?serverSelectionTimeoutMS=300" GCS_BUCKET=my-bucket text2img run --model owner/demo',
      {
        code: 5,
        says: /127\.0\.0\.1:1\/app\.prompts cannot be reached.*\[queue_failed\]\n$/,
      },
    );
    assert.equal(hub.requests.length, asked);
  });

  test('4: the bucket is checked before a model is fetched', needsMongod, async () => {
    const asked = hub.requests.length;
    await shell.type(`MONGO_URI=${newDatabase()} GCS_BUCKET=no-bucket text2img run --model owner/demo`, {
      code: 5,
      says: /no-bucket/,
    });
    assert.equal(hub.requests.length, asked);
  });

  test('10: doctor says a cause once, with advice that fits, and ends with a verdict', async () => {
    const { stdout } = await shell.type('MONGO_URI=mongodb://127.0.0.1:1/app text2img doctor', {
      code: 5,
      prints: [/^✗ settings +GCS_BUCKET is not set\n +→ add it, or remove MONGO_URI$/m, /\n1 problem: settings\n$/],
      never: /models pull|make them smaller/,
    });
    for (const name of ['model', 'queue', 'prompts', 'store'])
      assert.match(stdout, new RegExp(`^– ${name} +not checked$`, 'm'));
    const received = hook.received.length;
    await shell.type(`CALLBACK_URL=${hook.url} text2img doctor`, {
      prints: [/^✓ webhook +connected to 127\.0\.0\.1:\d+; nothing was sent$/m, /\nno problems\n$/],
    });
    assert.equal(hook.received.length, received);
    await shell.type('CALLBACK_URL=http://127.0.0.1:1/hook text2img doctor', {
      code: 5,
      prints: [/^✗ webhook .*127\.0\.0\.1:1.*ECONNREFUSED/m, /\n1 problem: webhook\n$/],
    });
  });

  test('10: doctor sees documents whose status is nearly pending', needsMongod, async () => {
    const uri = newDatabase();
    await using client = new MongoClient(uri);
    await client
      .db()
      .collection('prompts')
      .insertMany(['Pending', 'queued', 'pending'].map((status) => ({ text: 'a', status })));
    await shell.type(`MONGO_URI=${uri} GCS_BUCKET=my-bucket text2img doctor --model owner/demo`, {
      code: 5,
      prints: [/"Pending"/, /"queued"/],
    });
  });

  testFullDisk(shell);
}

function testFullDisk(shell: Shell): void {
  const folder = join(shell.folder, 'small-disk');
  mkdirSync(folder);
  const isMounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=512k', 'tmpfs', folder]).status === 0;
  const skip = isMounted
    ? false
    : 'NOT RUN: friction 15, one name for a full disk in run, enqueue, jobs and doctor, because no tmpfs can be mounted here (needs root on Linux)';
  after(() => void (isMounted && spawnSync('umount', [folder])));

  test('15: a full disk is disk_full in every command, and said once', { skip }, async () => {
    const inside = { TEXT2IMG_DATA_DIR: join(folder, 'data') };
    await shell.type('text2img enqueue --prompt "a fox"', {}, inside);
    const { bavail, bsize } = statfsSync(folder);
    writeFileSync(join(folder, 'ballast'), new Uint8Array(bavail * bsize));
    for (const command of ['jobs list', 'enqueue --prompt "a fox"', 'run --log-level warning']) {
      const full = { code: 5, says: /^text2img: no space is left [^\n]*\[disk_full\]\n$/ };
      await shell.type(`text2img ${command}`, full, inside);
    }
    await shell.type('text2img doctor', { code: 5, prints: /✗ (?:queue|store) .*\[disk_full\]/ }, inside);
  });
}
