/**
 * The answer of `txt2img` as a stream of its text, piece by piece: 16 images of 1024×1024 pixels are 30 MB in base64. `info` comes last, because it
 * holds the parameters texts of the images.
 */
import { findText } from '../../image/png-text.ts';
import { PngTextScan } from '../../image/png-text-scan.ts';
import { base64Pieces } from '../images/base64-pieces.ts';
import type { StoredImage } from '../front/front.ts';
import type { Body } from './body.ts';
import type { ImageFacts } from './txt2img-info.ts';

interface AnswerOptions {
  readonly images: readonly StoredImage[];
  readonly sendsImages: boolean;
  readonly parameters: Body;
  readonly infoOf: (images: readonly ImageFacts[]) => string;
}

/** The first image is begun to be read before the first piece comes, so that a store that fails gets an error status. */
export async function* answerPieces({
  images,
  sendsImages,
  parameters,
  infoOf,
}: AnswerOptions): AsyncGenerator<string, void> {
  const facts: ImageFacts[] = [];
  let text = '{"images":[';
  for (const [index, image] of images.entries()) {
    const scan = new PngTextScan();
    if (sendsImages) text += index === 0 ? '"' : ',"';
    for await (const piece of base64Pieces(image, (bytes) => scan.push(bytes))) {
      if (!sendsImages) continue;
      yield text + piece;
      text = '';
    }
    if (sendsImages) text += '"';
    facts.push({ seed: image.seed, infotext: infotextOf(scan) });
  }
  yield `${text}],"parameters":${JSON.stringify(parameters)},"info":${JSON.stringify(infoOf(facts))}}`;
}

/** Empty where another program wrote the image anew without it. */
function infotextOf(scan: PngTextScan): string {
  try {
    return findText(scan.chunks, 'parameters') ?? '';
  } catch {
    return '';
  }
}
