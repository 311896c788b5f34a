/**
 * An upgrade from version 0.1.0: its worker and this version's on one queue, one after the other and at the same time, on both kinds of queue. Both are
 * started as their users start them.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { cleanEnvironment, type CliResult, launcher, root, runCli } from '../e2e/run-cli.ts';
import { findMongod, NO_MONGOD } from '../servers/find-mongod.ts';
import { MongoServers } from '../servers/mongod.ts';
import { startWebhookReceiver, type WebhookReceiver } from '../servers/webhook-receiver.ts';
import { findOldVersion, NO_OLD_VERSION } from './old-version.ts';
import { embeddedPlace, mongoPlace, type UpgradePlace } from './upgrade-place.ts';

const oldFolder = await findOldVersion();
const binary = await findMongod();
const servers = binary === undefined || oldFolder === undefined ? undefined : await MongoServers.standalone(binary);
after(() => servers?.[Symbol.asyncDispose]());

const VERSIONS = { old: join(oldFolder ?? root, 'bin', 'text2img.js'), new: launcher } as const;
type Version = keyof typeof VERSIONS;
/** Drawn within a moment. */
const SMALL = { width: 64, height: 64, num_inference_steps: 2 };
/** A worker has time to die in the middle. */
const LONG = { num_inference_steps: 20 };
/** More than `--max-pixels 65536`. */
const LARGE = { ...SMALL, width: 4096 };
/** Longer than a drain waits for a webhook. */
const LATER_SECONDS = 600;

interface Shown {
  readonly status: string;
  readonly attempts: number;
  readonly error?: string;
}

/** Both versions' command on one queue. */
class Both {
  readonly place: UpgradePlace;
  readonly #environment: Readonly<Record<string, string>>;

  constructor(place: UpgradePlace, hook?: WebhookReceiver) {
    this.place = place;
    this.#environment = {
      ...place.environment,
      MODEL_ID: join(root, 'models', 'demo'),
      TEXT2IMG_LEASE_SECONDS: '5',
      ...(hook === undefined ? {} : { CALLBACK_URL: hook.url }),
    };
  }

  async run(version: Version, args: readonly string[], stdin = ''): Promise<CliResult> {
    const result = await runCli({ args, stdin, environment: this.#environment, program: VERSIONS[version], cwd: root });
    assert.equal(result.code, 0, `${version} ${args.join(' ')}: ${result.stderr}`);
    return result;
  }

  async add(version: Version, ids: readonly string[], fields: object = SMALL): Promise<void> {
    const lines = ids.map((_id) => `${JSON.stringify({ _id, text: 'a red circle', ...fields })}\n`);
    await this.run(version, ['enqueue', '-'], lines.join(''));
  }

  async show(id: string): Promise<Shown> {
    return JSON.parse((await this.run('new', ['jobs', 'show', id, '--json'])).stdout) as Shown;
  }

  async webhooks(state: string): Promise<readonly { readonly id: string; readonly error?: string }[]> {
    const { stdout } = await this.run('new', ['webhooks', 'list', '--state', state, '--json']);
    return stdout
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line));
  }

  /** Starts a worker and kills it, with its engine, while it draws. */
  async killWhileDrawing(version: Version, id: string): Promise<void> {
    const child = spawn(process.execPath, [VERSIONS[version], 'run'], {
      cwd: root,
      env: cleanEnvironment(this.#environment),
      stdio: 'ignore',
      detached: true,
    });
    await this.place.untilClaimed(id);
    process.kill(-Number(child.pid), 'SIGKILL');
    await once(child, 'close');
  }
}

/** Refuses until it is told to accept. */
async function startReceiver(): Promise<{ readonly hook: WebhookReceiver; readonly accept: () => void }> {
  let accepts = false;
  const hook = await startWebhookReceiver((response) => {
    if (accepts) response.end();
    else response.writeHead(503, { 'retry-after': String(LATER_SECONDS) }).end();
  });
  return { hook, accept: () => (accepts = true) };
}

function idsTold(hook: WebhookReceiver): readonly string[] {
  return hook.received.flatMap(({ body }) =>
    (JSON.parse(body) as { results: { prompt_id: string }[] }).results.map(({ prompt_id: id }) => id),
  );
}

const PLACES = [
  {
    name: 'embedded',
    open: embeddedPlace,
    /** The embedded queue is this service's own file: its webhooks need no proof. */
    believesOldWebhooks: true,
    skip: oldFolder === undefined ? NO_OLD_VERSION : false,
  },
  {
    name: 'MongoDB',
    open: () => mongoPlace(servers as MongoServers),
    believesOldWebhooks: false,
    skip: oldFolder === undefined ? NO_OLD_VERSION : servers === undefined && NO_MONGOD,
  },
] as const;

for (const { name, open, believesOldWebhooks, skip } of PLACES)
  describe(`upgrade from 0.1.0, ${name} queue`, { skip }, () => {
    test('this version goes on where 0.1.0 stopped: done, failed, waiting and interrupted jobs', async () => {
      await using place = await open();
      const both = new Both(place);
      await both.add('old', ['done']);
      await both.add('old', ['failed'], LARGE);
      await both.run('old', ['run', '--max-pixels', '65536']);
      await both.add('old', ['cut'], LONG);
      await both.killWhileDrawing('old', 'cut');
      await both.add('old', ['waiting']);
      await both.run('new', ['run']);
      const found = await Promise.all(['done', 'failed', 'cut', 'waiting'].map((id) => both.show(id)));
      assert.deepEqual(
        found.map(({ status, attempts }) => [status, attempts]),
        [
          ['completed', 1],
          ['error', 1],
          ['completed', 2],
          ['completed', 1],
        ],
      );
      assert.deepEqual(place.images().toSorted(), ['cut.png', 'done.png', 'waiting.png']);
      await both.run('new', ['jobs', 'retry', 'failed']);
      await both.run('new', ['run']);
      assert.equal((await both.show('failed')).status, 'completed');
    });

    test('0.1.0 goes on with what this version left, its new fields included: the way back is open', async () => {
      await using place = await open();
      const both = new Both(place);
      await both.add('new', ['done']);
      await both.run('new', ['run']);
      await both.add('new', ['cut'], LONG);
      await both.killWhileDrawing('new', 'cut');
      await both.add('new', ['waiting']);
      await both.run('old', ['run']);
      const found = await Promise.all(['done', 'cut', 'waiting'].map((id) => both.show(id)));
      assert.deepEqual(
        found.map(({ status, attempts }) => [status, attempts]),
        [
          ['completed', 1],
          ['completed', 2],
          ['completed', 1],
        ],
      );
      assert.deepEqual(place.images().toSorted(), ['cut.png', 'done.png', 'waiting.png']);
    });

    test('workers of both versions drain one queue: each job is done once', async () => {
      await using place = await open();
      const both = new Both(place);
      const ids = Array.from({ length: 12 }, (_, index) => `job${index}`);
      await both.add('old', ids.slice(0, 6));
      await both.add('new', ids.slice(6));
      await Promise.all([both.run('old', ['run']), both.run('new', ['run'])]);
      const found = await Promise.all(ids.map((id) => both.show(id)));
      assert.deepEqual(
        found.map(({ status, attempts }) => `${status} ${attempts}`),
        ids.map(() => 'completed 1'),
      );
      assert.deepEqual(place.images().toSorted(), ids.map((id) => `${id}.png`).toSorted());
    });

    test(
      believesOldWebhooks
        ? 'a webhook that 0.1.0 owes is delivered by this version'
        : 'a webhook that 0.1.0 owes is given up with the reason, stays listed, and "redrive ID" delivers it',
      async () => {
        const { hook, accept } = await startReceiver();
        await using _ = hook;
        await using place = await open();
        const both = new Both(place, hook);
        await both.add('old', ['told']);
        await both.run('old', ['run']);
        assert.equal(hook.received.length, 1, 'one try, refused');
        accept();
        await place.makeDue();
        await both.run('new', ['webhooks', 'deliver']);
        if (!believesOldWebhooks) {
          assert.equal(hook.received.length, 1);
          const [dead] = await both.webhooks('dead');
          assert.match(dead?.error ?? '', /version 0\.1\.0.*redrive ID/);
          await both.run('new', ['webhooks', 'redrive', String(dead?.id)]);
          await both.run('new', ['webhooks', 'deliver']);
        }
        assert.deepEqual(idsTold(hook), ['told', 'told']);
        assert.equal(hook.received[0]?.headers['webhook-id'], hook.received[1]?.headers['webhook-id']);
        assert.equal((await both.webhooks('delivered')).length, 1);
      },
    );

    test('a webhook that this version owes is delivered by 0.1.0, under the same id', async () => {
      const { hook, accept } = await startReceiver();
      await using _ = hook;
      await using place = await open();
      const both = new Both(place, hook);
      await both.add('new', ['told']);
      await both.run('new', ['run']);
      assert.equal(hook.received.length, 1, 'one try, refused');
      accept();
      await place.makeDue();
      await both.run('old', ['webhooks', 'deliver']);
      assert.deepEqual(idsTold(hook), ['told', 'told']);
      assert.equal(hook.received[0]?.headers['webhook-id'], hook.received[1]?.headers['webhook-id']);
      assert.equal((await both.webhooks('delivered')).length, 1);
    });
  });
