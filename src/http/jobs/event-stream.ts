/** Server-sent events as text (https://html.spec.whatwg.org/multipage/server-sent-events.html). */
import type { EventFeed, SentEvent } from './event-feed.ts';

/** Proxies close connections that are silent for a minute, some sooner. */
const HEARTBEAT_MS = 10_000;
/** How long a browser waits before it connects again. */
const RECONNECT_MS = 2000;
/** A comment, which clients ignore. */
const HEARTBEAT = ': still here\n\n';

export const EVENT_STREAM_TYPE = 'text/event-stream; charset=utf-8';

/** Ends when the feed does. The first piece is sent at once, so that proxies and clients see that the stream began. */
export async function* eventStream(
  feed: EventFeed,
  { heartbeatMs = HEARTBEAT_MS }: { readonly heartbeatMs?: number } = {},
): AsyncGenerator<string> {
  yield `retry: ${RECONNECT_MS}\n\n`;
  for (;;) {
    const next = await feed.next(heartbeatMs);
    if (next === 'ended') return;
    yield next === 'quiet' ? HEARTBEAT : eventText(next);
  }
}

/** JSON has no line ends of its own, so the data is one line. */
export function eventText({ event, id, data }: SentEvent): string {
  return `event: ${event}\n${id === undefined ? '' : `id: ${id}\n`}data: ${JSON.stringify(data)}\n\n`;
}
