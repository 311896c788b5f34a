/** The server of `bench/http.ts`, in a process of its own: a server with a worker whose engine needs no time. */
import { serve } from '../test/http/served.ts';

export interface HttpServerSettings {
  readonly mongoUri?: string;
  readonly worker: boolean;
}

export type Asked = { readonly type: 'memory' } | { readonly type: 'ended'; readonly ids: readonly string[] };

export type Told =
  | { readonly type: 'listening'; readonly url: string }
  /** Resident bytes after a collection of garbage. */
  | { readonly type: 'memory'; readonly bytes: number }
  /** When each job ended, by the queue's clock, in milliseconds since 1970. */
  | { readonly type: 'ended'; readonly atMs: readonly number[] };

const settings = JSON.parse(process.argv[2] ?? '{}') as HttpServerSettings;
const atEnd: (() => unknown)[] = [];
const served = await serve({ after: (act) => void atEnd.push(act as () => unknown) }, settings);
const tell = (message: Told): void => void process.send?.(message);

async function answer(asked: Asked): Promise<void> {
  if (asked.type === 'memory') {
    globalThis.gc?.();
    return tell({ type: 'memory', bytes: process.memoryUsage().rss });
  }
  const jobs = await Promise.all(asked.ids.map((id) => served.queue.show(id)));
  tell({ type: 'ended', atMs: jobs.map((job) => job?.finishedAt?.getTime() ?? Number.NaN) });
}

process.on('message', (message) => void answer(message as Asked));
process.on('disconnect', () => void Promise.all(atEnd.map((act) => act())).finally(() => process.exit()));
tell({ type: 'listening', url: served.url });
