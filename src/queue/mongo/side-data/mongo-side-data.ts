/** Side data in collections beside the prompts'. Keeps the contract of `side-data.ts`. */
import type { Logger } from '../../../observability/logger.ts';
import type { SideData } from '../../side-data.ts';
import { fromNow } from '../expressions.ts';
import type { MongoConnection } from '../mongo-connection.ts';
import { orphansIn } from './orphans.ts';
import { previewsIn } from './previews.ts';
import { requestsIn } from './requests.ts';
import { settingsIn } from './settings.ts';
import { SideCollections } from './side-collections.ts';
import { waitsIn } from './waits.ts';
import { watchesIn } from './watches.ts';
import { workersIn } from './workers.ts';

export class MongoSideData implements SideData {
  readonly requests: SideData['requests'];
  readonly orphans: SideData['orphans'];
  readonly watches: SideData['watches'];
  readonly waits: SideData['waits'];
  readonly previews: SideData['previews'];
  readonly workers: SideData['workers'];
  readonly settings: SideData['settings'];
  readonly #side: SideCollections;
  #canWrite = false;

  constructor(connection: MongoConnection, logger: Logger) {
    const side = new SideCollections(connection, logger);
    this.#side = side;
    this.requests = requestsIn(side);
    this.watches = watchesIn(side);
    this.orphans = orphansIn(side, (promptIds) => this.watches.marked(promptIds));
    this.waits = waitsIn(side);
    this.previews = previewsIn(side);
    this.workers = workersIn(side);
    this.settings = settingsIn(side);
  }

  async canWrite(): Promise<boolean> {
    if (this.#canWrite) return true;
    const update = [{ $set: { until: fromNow(0) } }];
    const done = await this.#side.write('text2img_requests', (collection) =>
      collection.updateOne({ _id: this.#side.key('probe') }, update, { upsert: true }),
    );
    this.#canWrite = done !== undefined;
    return this.#canWrite;
  }
}
