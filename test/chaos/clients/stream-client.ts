/**
 * OpenAI's own SDK, which reads a stream with partial images. The SDK repeats a request that was refused. It does not repeat a stream that broke, and its
 * users call it again then: a first attempt, which takes over nothing.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import OpenAI from 'openai';
import type { Asking } from './asking.ts';
import type { Attempt, Outcome, ReceivedImage, StreamEnd } from './client-record.ts';
import { imagesBody } from './openai-answer.ts';
import { MAX_RETRIES, sendingOf, shorter } from './sdk-client.ts';
import { noteCode, open, pauseMs, sha256Of } from './send.ts';

/** Calls of one client. Each makes a document. */
const MAX_CALLS = 30;

export async function askStream(asking: Asking): Promise<Outcome> {
  const { random, secret: apiKey } = asking;
  const partialImages = 1 + random.below(3);
  let attempt: Attempt | undefined;
  const sdk = new OpenAI({
    baseURL: 'http://chosen.below/v1',
    apiKey,
    maxRetries: MAX_RETRIES,
    fetch: async (_url, init) => {
      const opened = await open(asking, sendingOf(init));
      attempt = opened.attempt;
      const { status, headers, body } = opened.response;
      const recorded = ReadableStream.from(
        record(body ?? [], { attempt, status, id: headers.get('text2img-id') ?? '' }),
      );
      return new Response(recorded, { status, headers: shorter(headers) });
    },
  });
  for (let calls = 1; ; calls++) {
    const images: ReceivedImage[] = [];
    const failure = await readStream(sdk, { asking, partialImages, images }).catch((error: unknown) => error);
    if (failure === undefined && images.length > 0) return { kind: 'images', images };
    // What the SDK does not repeat any more is final.
    const status: unknown = failure instanceof OpenAI.APIError ? failure.status : undefined;
    if (typeof status === 'number' || calls >= MAX_CALLS)
      return { kind: 'error', status: Number(status ?? 0), code: attempt?.code };
    await sleep(pauseMs(asking, undefined));
  }
}

interface Reading {
  readonly asking: Asking;
  readonly partialImages: number;
  readonly images: ReceivedImage[];
}

async function readStream(sdk: OpenAI, { asking, partialImages, images }: Reading): Promise<void> {
  const { response_format: _, ...body } = imagesBody(asking.request);
  const stream = await sdk.images.generate({ ...body, stream: true, partial_images: partialImages });
  for await (const event of stream) {
    if (event.type !== 'image_generation.completed') continue;
    const { id } = event as unknown as { readonly id: string };
    images.push({ id, index: images.length, sha256: sha256Of(Buffer.from(event.b64_json, 'base64')) });
  }
}

interface Recorded {
  readonly attempt: Attempt;
  readonly status: number;
  /** Of the document, as the head of the answer has it. */
  readonly id: string;
}

/** Passes the body on. Its end is noted, whoever ends it. */
async function* record(body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>, { attempt, status, id }: Recorded) {
  const parts: Uint8Array[] = [];
  let isWhole = false;
  try {
    for await (const part of body) {
      parts.push(part);
      yield part;
    }
    isWhole = true;
  } finally {
    attempt.endedMs = performance.now();
    const bytes = Buffer.concat(parts);
    if (status < 400) noteStream(attempt, { text: bytes.toString(), isWhole, status, id });
    else if (isWhole) {
      attempt.status = status;
      noteCode(attempt, bytes);
    }
  }
}

interface StreamText {
  readonly text: string;
  readonly isWhole: boolean;
  readonly status: number;
  readonly id: string;
}

/** The SDK closes a stream as soon as it has read an error in it. */
function noteStream(attempt: Attempt, { text, isWhole, status, id }: StreamText): void {
  const stream = streamEnd(text);
  if (!isWhole && stream.last === 'nothing') return;
  attempt.status = status;
  attempt.stream = stream;
  attempt.ids = [id];
  const [, code] = /^event: error\ndata: .*"code":"([a-z_]+)"/m.exec(text) ?? [];
  if (code !== undefined) attempt.code = code;
}

export function streamEnd(text: string): StreamEnd {
  const events = Array.from(text.matchAll(/^event: (\S+)\ndata: (.*)\n\n/gm), ([, name = '', data = '']) => ({
    name,
    data,
  }));
  const last = events.at(-1)?.name;
  return {
    last: last === 'error' ? 'error' : last === 'image_generation.completed' ? 'completed' : 'nothing',
    partials: events
      .filter(({ name }) => name === 'image_generation.partial_image')
      .map(({ data }) => Number((JSON.parse(data) as { partial_image_index: unknown }).partial_image_index)),
  };
}
