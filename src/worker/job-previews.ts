/**
 * The previews of one job: encoded, and put beside the queue under the claim's token. One is on its way at a time; one that comes meanwhile replaces
 * the one that waits. They are removed when the job has ended. A preview that fails costs the job nothing.
 */
import { encodePng } from '../image/encode-png.ts';
import type { RawImage } from '../job/raw-image.ts';
import type { Logger } from '../observability/logger.ts';
import type { ClaimedPrompt, JobProgress } from '../queue/prompt-queue.ts';
import type { SideData } from '../queue/side-data.ts';

export interface JobPreviewsOptions {
  readonly promptId: string;
  readonly token: ClaimedPrompt['token'];
  readonly previews: SideData['previews'];
  readonly logger: Logger;
}

interface Shown extends JobProgress {
  readonly image: RawImage;
}

/** A larger file is halved in width and height until it fits. */
const MAX_BYTES = 64_000;

export class JobPreviews {
  readonly #options: JobPreviewsOptions;
  #waiting: Shown | undefined;
  #sending: Promise<void> | undefined;
  #isEnded = false;

  constructor(options: JobPreviewsOptions) {
    this.#options = options;
  }

  show(image: RawImage, progress: JobProgress): void {
    if (this.#isEnded) return;
    this.#waiting = { image, ...progress };
    this.#sending ??= this.#send();
  }

  /** The job has ended: the last one is removed. Never rejects. */
  async end(): Promise<void> {
    this.#isEnded = true;
    this.#waiting = undefined;
    await this.#sending;
    await this.#try(() => this.#options.previews.remove(this.#options.promptId));
  }

  async #send(): Promise<void> {
    const { promptId, token, previews } = this.#options;
    for (let next = this.#take(); next !== undefined; next = this.#take()) {
      const { image, step, steps } = next;
      await this.#try(async () => {
        await previews.put({ promptId, token, png: await encodePreview(image), step, steps });
      });
    }
    this.#sending = undefined;
  }

  #take(): Shown | undefined {
    const next = this.#waiting;
    this.#waiting = undefined;
    return next;
  }

  async #try(act: () => Promise<void>): Promise<void> {
    try {
      await act();
    } catch (error) {
      this.#options.logger.repeated('a preview could not be kept', { prompt_id: this.#options.promptId, error });
    }
  }
}

/** A PNG of at most 64 kB. @throws `RangeError` for pixels that are not RGB */
export async function encodePreview(image: RawImage): Promise<Uint8Array> {
  const { widthPx, heightPx, pixels: rgb } = image;
  const png = await encodePng({ rgb, widthPx, heightPx });
  return png.byteLength <= MAX_BYTES ? png : await encodePreview(halved(image));
}

/** The mean of each two by two pixels. */
function halved({ widthPx, heightPx, channels, pixels }: RawImage): RawImage {
  const [width, height] = [Math.ceil(widthPx / 2), Math.ceil(heightPx / 2)];
  const at = (x: number, y: number, channel: number): number =>
    pixels[(Math.min(y, heightPx - 1) * widthPx + Math.min(x, widthPx - 1)) * channels + channel] ?? 0;
  const half = Uint8Array.from({ length: width * height * channels }, (_, index) => {
    const channel = index % channels;
    const place = Math.floor(index / channels);
    const [x, y] = [(place % width) * 2, Math.floor(place / width) * 2];
    return (at(x, y, channel) + at(x + 1, y, channel) + at(x, y + 1, channel) + at(x + 1, y + 1, channel)) / 4;
  });
  return { widthPx: width, heightPx: height, channels, pixels: half };
}
