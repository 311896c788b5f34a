/** The events of a job as a reader gets them, however slow it is. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EventFeed, type SentEvent } from '../../../src/http/jobs/event-feed.ts';
import { eventStream, eventText } from '../../../src/http/jobs/event-stream.ts';

const never = new AbortController().signal;

function progress(step: number): SentEvent {
  return { event: 'progress', id: `processing.${step}`, data: { step } };
}

async function rest(feed: EventFeed): Promise<readonly string[]> {
  const read: string[] = [];
  for await (const text of eventStream(feed, { heartbeatMs: 5 })) read.push(text);
  return read;
}

test('an event is text that ends with an empty line, and its data is one line', () => {
  const text = eventText({ event: 'completed', id: 'completed.7', data: { text: 'two\nlines\r\n' } });
  assert.equal(text, 'event: completed\nid: completed.7\ndata: {"text":"two\\nlines\\r\\n"}\n\n');
  assert.equal(eventText({ event: 'preview', data: 1 }), 'event: preview\ndata: 1\n\n');
});

test('a slow reader gets the newest of each kind, and the end', async () => {
  const feed = new EventFeed(never);
  feed.push({ event: 'status', id: 'pending', data: { ahead: 3 } });
  feed.push({ event: 'status', id: 'processing', data: {} });
  for (let step = 1; step <= 1000; step++) {
    feed.push(progress(step));
    feed.push({ event: 'preview', data: { step } });
  }
  feed.push({ event: 'completed', id: 'completed.1', data: {} });
  feed.end();
  assert.deepEqual(await rest(feed), [
    'retry: 2000\n\n',
    'event: status\nid: processing\ndata: {}\n\n',
    'event: progress\nid: processing.1000\ndata: {"step":1000}\n\n',
    'event: preview\ndata: {"step":1000}\n\n',
    'event: completed\nid: completed.1\ndata: {}\n\n',
  ]);
});

test('the same state is told once, and a place in the queue each time it changes', async () => {
  const feed = new EventFeed(never);
  const told: unknown[] = [];
  const push = async (event: SentEvent): Promise<void> => {
    feed.push(event);
    told.push(await feed.next(0));
  };
  const pending = (ahead?: number): SentEvent => ({ event: 'status', id: 'pending', data: { ahead } });
  for (const event of [pending(3), pending(3), pending(), pending(2), progress(1), progress(1), progress(2)])
    await push(event);
  assert.deepEqual(told, [pending(3), 'quiet', 'quiet', pending(2), progress(1), 'quiet', progress(2)]);
});

test('a status behind the progress that implies it is not repeated, and the next one is told', async () => {
  const feed = new EventFeed(never, 'processing.0');
  const processing: SentEvent = { event: 'status', id: 'processing', data: {} };
  feed.push(processing);
  feed.push(progress(2));
  feed.push(processing);
  feed.push({ event: 'status', id: 'pending', data: {} });
  assert.deepEqual(
    [await feed.next(0), await feed.next(0), await feed.next(0)],
    [progress(2), { event: 'status', id: 'pending', data: {} }, 'quiet'],
  );
});

test('a silent job is told to be still there, until the feed ends', async () => {
  const feed = new EventFeed(never);
  const reading = rest(feed);
  setTimeout(() => feed.end(), 100);
  const read = await reading;
  assert.ok(read.length > 2, read.join(''));
  assert.deepEqual(new Set(read.slice(1)), new Set([': still here\n\n']));
});

test('a reader that has read all waits the whole time before it is told that all is quiet', async () => {
  const feed = new EventFeed(never);
  feed.push(progress(1));
  assert.deepEqual(await feed.next(0), progress(1));
  const waiting = feed.next(60_000);
  setTimeout(() => feed.push(progress(2)), 20);
  assert.deepEqual(await waiting, progress(2));
});

test('a reader that is gone ends the stream', async () => {
  const gone = new AbortController();
  const feed = new EventFeed(gone.signal);
  const reading = rest(feed);
  gone.abort();
  assert.deepEqual(await reading, ['retry: 2000\n\n']);
});

test('what comes behind the end is dropped', async () => {
  const feed = new EventFeed(never);
  feed.end();
  feed.push(progress(1));
  assert.deepEqual(await rest(feed), ['retry: 2000\n\n']);
});
