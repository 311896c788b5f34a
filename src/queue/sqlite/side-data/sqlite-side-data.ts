/** Side data in tables of the queue's own file. Keeps the contract of `side-data.ts`. */
import type { SideData } from '../../side-data.ts';
import type { Database } from '../database.ts';
import { previewsIn } from './previews.ts';
import { orphansIn, requestsIn, settingsIn } from './requests.ts';
import { SideTables } from './side-tables.ts';
import { waitsIn } from './waits.ts';
import { watchesIn } from './watches.ts';
import { workersIn } from './workers.ts';

export class SqliteSideData implements SideData {
  readonly requests: SideData['requests'];
  readonly orphans: SideData['orphans'];
  readonly watches: SideData['watches'];
  readonly waits: SideData['waits'];
  readonly previews: SideData['previews'];
  readonly workers: SideData['workers'];
  readonly settings: SideData['settings'];

  constructor(database: Database) {
    const tables = new SideTables(database);
    this.requests = requestsIn(tables);
    this.orphans = orphansIn(tables);
    this.watches = watchesIn(tables);
    this.waits = waitsIn(tables);
    this.previews = previewsIn(tables);
    this.workers = workersIn(tables);
    this.settings = settingsIn(tables);
  }

  /** These tables are in the file of the queue. */
  async canWrite(): Promise<boolean> {
    return true;
  }
}
