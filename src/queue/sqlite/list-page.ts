/**
 * A page of the list. Rows that may be rare are looked for window by window, so that it is always known how far the look has come. Other work of this
 * process goes on between two windows.
 */
import { cursorOf, LARGEST_PAGE } from '../list-cursor.ts';
import type { ListedJob, ListedPage, PageOptions } from '../prompt-queue.ts';
import type { Database } from './database.ts';
import { endOfWindow, FIRST_SEQ, LAST_SEQ, list, listWindow, seqBefore } from './list.ts';

/** The rows of a page that is looked for first; doubled each time. */
const WINDOW = { first: 1000, most: 32_000 } as const;

/** @throws `invalid_cursor` */
export async function listPage(database: Database, options: PageOptions): Promise<ListedPage> {
  const { limit, after, status, model, tenant, withinMs } = options;
  const startedMs = performance.now();
  const most = Math.min(limit, LARGEST_PAGE);
  let from = after === undefined ? LAST_SEQ : seqBefore(after);
  if (status === undefined && model === undefined && tenant !== null) {
    const jobs = await database.look((statements) => list(statements, options), []);
    return { jobs, next: jobs.length < most ? undefined : jobs.at(-1)?.cursor };
  }
  const jobs: ListedJob[] = [];
  for (let size: number = WINDOW.first; ; size = Math.min(WINDOW.most, size * 2)) {
    const end = await database.look((statements) => {
      const to = endOfWindow(statements, tenant ?? undefined, { from, size });
      jobs.push(...listWindow(statements, options, { limit: most - jobs.length, from, to: to ?? FIRST_SEQ }));
      return to;
    }, undefined);
    if (jobs.length >= most) return { jobs, next: jobs.at(-1)?.cursor };
    if (end === undefined) return { jobs, next: undefined };
    if (performance.now() - startedMs >= withinMs) return { jobs, next: cursorOf('sqlite', [String(end)]) };
    from = end - 1n;
  }
}
