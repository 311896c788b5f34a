/** The JSON answer with the images of a job. It is written piece by piece, because 16 large ones are 30 MB of base64. */
import { base64Pieces } from '../images/base64-pieces.ts';
import type { EndedJob, StoredImage } from '../front/front.ts';

/** In tokens, as OpenAI counts them. Dify's tool breaks without any of these. */
export interface Usage {
  readonly input_tokens: number;
  readonly output_tokens: number;
  readonly total_tokens: number;
  readonly input_tokens_details: { readonly text_tokens: number; readonly image_tokens: number };
}

/** @param promptTokens of CLIP, without its marks for start and end */
export function usageOf(promptTokens: number): Usage {
  return {
    input_tokens: promptTokens,
    output_tokens: 0,
    total_tokens: promptTokens,
    input_tokens_details: { text_tokens: promptTokens, image_tokens: 0 },
  };
}

/** The part of an answer or an event that says how the images are. Only PNGs are generated, and none is transparent. */
export interface ImageFacts {
  readonly size: string;
  readonly quality: 'auto';
  readonly background: 'opaque';
  readonly output_format: 'png';
}

/** @param parameters of the job, or the fields of its document; `auto` while nobody knows the size */
export function imageFacts(parameters: Readonly<Record<string, unknown>> | undefined): ImageFacts {
  const { width, height } = parameters ?? {};
  const size = typeof width === 'number' && typeof height === 'number' ? `${width}x${height}` : 'auto';
  return { size, quality: 'auto', background: 'opaque', output_format: 'png' };
}

/** In seconds since 1970, as OpenAI's times are. */
export function createdSeconds({ finishedAt }: Pick<EndedJob, 'finishedAt'>): number {
  return Math.floor((finishedAt?.getTime() ?? Date.now()) / 1000);
}

export interface AnswerOptions {
  readonly job: EndedJob;
  /** As the answer calls it. */
  readonly model: string;
  readonly usage: Usage;
  readonly ignored: readonly string[];
  readonly warnings: readonly string[];
  readonly images: readonly StoredImage[];
  /** Undefined: the images themselves, as base64. */
  readonly urlOf: ((image: StoredImage) => string) | undefined;
}

/** Texts that together are the JSON answer. A piece of one image is in memory at a time. @throws what reading an image throws */
export async function* imagesAnswer(options: AnswerOptions): AsyncGenerator<string, void> {
  const { job, model, usage, ignored, warnings, images, urlOf } = options;
  const head = {
    created: createdSeconds(job),
    id: job.id,
    model,
    ...(job.seed === undefined ? {} : { seed: job.seed }),
    ...imageFacts(job.parameters),
    usage,
    ...(ignored.length === 0 ? {} : { ignored }),
    ...(warnings.length === 0 ? {} : { warnings }),
  };
  let text = `${JSON.stringify(head).slice(0, -1)},"data":[`;
  for (const [place, image] of images.entries()) {
    if (place > 0) text += ',';
    if (urlOf === undefined) {
      text += '{"b64_json":"';
      // Nothing is sent before the first piece is there: an image that cannot be read is then refused with its status.
      for await (const piece of base64Pieces(image)) {
        yield text + piece;
        text = '';
      }
      text += `","seed":${image.seed}}`;
    } else text += JSON.stringify({ url: urlOf(image), seed: image.seed });
  }
  yield `${text}]}`;
}
