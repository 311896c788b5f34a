/**
 * The answer of `txt2img` as a stream of its text, image by image: 16 images of 1024×1024 pixels are 30 MB in base64. `info` comes last, because it
 * holds the parameters texts of the images.
 */
import { findText } from '../../image/png-text.ts';
import { readPngChunks } from '../../image/png-chunks.ts';
import type { StoredImage } from '../front/front.ts';
import type { Body } from './body.ts';
import type { ImageFacts } from './txt2img-info.ts';

interface AnswerOptions {
  readonly images: readonly StoredImage[];
  readonly sendsImages: boolean;
  readonly parameters: Body;
  readonly infoOf: (images: readonly ImageFacts[]) => string;
}

/** The first image is read before the first piece comes, so that a store that fails gets an error status. */
export async function* answerPieces({
  images,
  sendsImages,
  parameters,
  infoOf,
}: AnswerOptions): AsyncGenerator<string> {
  const facts: ImageFacts[] = [];
  let before = '{"images":[';
  for (const image of images) {
    const png = await image.read();
    facts.push({ seed: image.seed, infotext: infotextOf(png) });
    if (!sendsImages) continue;
    yield `${before}"${Buffer.from(png.buffer, png.byteOffset, png.byteLength).toString('base64')}"`;
    before = ',';
  }
  const beginning = before === ',' ? '' : before;
  yield `${beginning}],"parameters":${JSON.stringify(parameters)},"info":${JSON.stringify(infoOf(facts))}}`;
}

/** Empty where another program wrote the image anew without it. */
function infotextOf(png: Uint8Array): string {
  try {
    return findText(readPngChunks(png), 'parameters') ?? '';
  } catch {
    return '';
  }
}
