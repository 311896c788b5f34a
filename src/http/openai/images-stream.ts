/**
 * The answer to `stream: true`: server-sent events in OpenAI's names. A stream that has begun always ends with `image_generation.completed` or with
 * `error`: SDKs take a stream that just ends for a success.
 */
import type { Text2ImgError } from '../../errors/text2img-error.ts';
import type { EndedJob, JobEvent, StoredImage } from '../front/front.ts';
import { openAiError } from './errors.ts';
import { EventFeed, SIGN_OF_LIFE_MS } from './event-feed.ts';
import { jsonWithImage } from '../images/base64-pieces.ts';
import { createdSeconds, imageFacts, type Usage } from './images-answer.ts';
import { PartialImages } from './partial-images.ts';

export interface StreamOptions {
  readonly id: string;
  /** Its fields, for the size of previews. */
  readonly document: Readonly<Record<string, unknown>>;
  readonly partialImages: number;
  readonly usage: Usage;
  /** Resolves when the job has completed. @throws any other end */
  readonly wait: (onEvent: (event: JobEvent) => void) => Promise<EndedJob>;
  readonly images: (job: EndedJob) => Promise<readonly StoredImage[]>;
  /** Any other end, for the log: no status can be answered any more. */
  readonly onTrouble: (error: unknown) => { readonly error: Text2ImgError; readonly status: number };
  readonly signOfLifeMs?: number;
}

/** The texts of the stream. @throws only in the middle of an image: then the connection is broken, because no event can follow half of one */
export async function* imagesStream(options: StreamOptions): AsyncGenerator<string> {
  const { id, document, partialImages, usage, wait, images, onTrouble, signOfLifeMs = SIGN_OF_LIFE_MS } = options;
  const feed = new EventFeed();
  const partials = new PartialImages(partialImages);
  let isWithinEvent = false;
  // The head of the answer goes out with it: node's fetch waits 300 seconds for one.
  yield comment(id);
  try {
    const end = wait((event) => {
      if (event.type !== 'preview') return;
      const index = partials.take(event);
      if (index !== undefined) feed.push(partialEvent(event.png, index, document));
    });
    yield* feed.until(end, { signOfLife: () => comment('waiting'), everyMs: signOfLifeMs });
    const job = await end;
    for (const image of await images(job)) {
      for await (const text of completedEvent(job, { image, usage })) {
        isWithinEvent = true;
        yield text;
      }
      isWithinEvent = false;
    }
  } catch (thrown) {
    const { error, status } = onTrouble(thrown);
    if (isWithinEvent) throw error;
    yield sse('error', { error: openAiError(error, status) });
  }
}

function partialEvent(png: Uint8Array, index: number, document: Readonly<Record<string, unknown>>): string {
  return sse('image_generation.partial_image', {
    b64_json: Buffer.from(png).toString('base64'),
    partial_image_index: index,
    created_at: Math.floor(Date.now() / 1000),
    ...imageFacts(document),
  });
}

interface CompletedImage {
  readonly image: StoredImage;
  readonly usage: Usage;
}

async function* completedEvent(job: EndedJob, { image, usage }: CompletedImage): AsyncGenerator<string, void> {
  const type = 'image_generation.completed';
  const facts = { created_at: createdSeconds(job), ...imageFacts(job.parameters) };
  const after = { ...facts, usage, id: job.id, seed: image.seed };
  let text = `event: ${type}\ndata: `;
  for await (const piece of jsonWithImage(image, { before: { type }, name: 'b64_json', after })) {
    yield text + piece;
    text = '';
  }
  yield '\n\n';
}

/** The name stands in the data too. JSON has no line ends. */
function sse(event: string, data: object): string {
  return `event: ${event}\ndata: ${JSON.stringify({ type: event, ...data })}\n\n`;
}

function comment(text: string): string {
  return `: ${text}\n\n`;
}
