/** What the typed lines talk to instead of the world: a hub, a bucket, a receiver of webhooks and a real MongoDB, all on this machine. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { findMongod } from '../../servers/find-mongod.ts';
import { GcsServer } from '../../servers/gcs-server.ts';
import { HubServer } from '../../servers/hub-server.ts';
import { MongoServers } from '../../servers/mongod.ts';
import { startWebhookReceiver, type WebhookReceiver } from '../../servers/webhook-receiver.ts';
import { root } from '../run-cli.ts';

export interface Neighbours extends AsyncDisposable {
  /** Has the demo checkpoint under the names that our texts use. */
  readonly hub: HubServer;
  /** Its bucket is `my-bucket`, as in our texts. */
  readonly gcs: GcsServer;
  readonly hook: WebhookReceiver;
  /** What the receiver answers from now on. */
  answer: { readonly status: number; readonly headers?: Readonly<Record<string, string>> };
  /** Undefined: there is no mongod. */
  readonly mongo: MongoServers | undefined;
  /** Variables that lead there. */
  readonly environment: Readonly<Record<string, string>>;
}

/** The names of models in README and the help. */
const MODELS = ['stable-diffusion-v1-5/stable-diffusion-v1-5', 'owner/demo'];

export async function startNeighbours(): Promise<Neighbours> {
  const [hub, gcs, binary] = await Promise.all([
    HubServer.start(),
    GcsServer.start({ bucket: 'my-bucket' }),
    findMongod(),
  ]);
  const mongo = binary === undefined ? undefined : await MongoServers.standalone(binary);
  const files = demoFiles();
  for (const id of MODELS) hub.repositories.set(id, { files });
  const state: Pick<Neighbours, 'answer'> = { answer: { status: 200 } };
  const hook = await startWebhookReceiver((response) => {
    response.writeHead(state.answer.status, state.answer.headers).end();
  });
  return Object.assign(state, {
    hub,
    gcs,
    hook,
    mongo,
    environment: { HF_ENDPOINT: hub.url, STORAGE_EMULATOR_HOST: gcs.url },
    [Symbol.asyncDispose]: async () => {
      for (const one of [hub, gcs, hook, mongo]) await one?.[Symbol.asyncDispose]();
    },
  });
}

function demoFiles(): ReadonlyMap<string, Buffer> {
  const demo = join(root, 'models', 'demo');
  const names = readdirSync(demo, { recursive: true, encoding: 'utf8' });
  return new Map(
    names.filter((name) => statSync(join(demo, name)).isFile()).map((name) => [name, readFileSync(join(demo, name))]),
  );
}
