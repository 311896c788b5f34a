/** An image of the store in base64, piece by piece, so that an answer with many large ones holds little of them in memory. */
import type { StoredImage } from '../front/front.ts';

/** Three bytes are four characters. */
const GROUP_BYTES = 3;

/** @param onBytes called with the bytes of the image as they come @throws what opening and reading it throws */
export async function* base64Pieces(
  image: Pick<StoredImage, 'open'>,
  onBytes?: (bytes: Uint8Array) => void,
): AsyncGenerator<string, void> {
  await using opened = await image.open();
  let rest = Buffer.alloc(0);
  for await (const piece of opened.pieces()) {
    onBytes?.(piece);
    const bytes = Buffer.concat([rest, piece]);
    const end = bytes.length - (bytes.length % GROUP_BYTES);
    rest = bytes.subarray(end);
    if (end > 0) yield bytes.toString('base64', 0, end);
  }
  if (rest.length > 0) yield rest.toString('base64');
}

export interface JsonWithImage {
  readonly before?: object;
  /** Of the image's field. */
  readonly name: string;
  readonly after: object;
}

/** The text of the JSON object `{...before, [name]: image, ...after}`. */
export async function* jsonWithImage(
  image: Pick<StoredImage, 'open'>,
  { before = {}, name, after }: JsonWithImage,
): AsyncGenerator<string, void> {
  const fields = JSON.stringify(before).slice(1, -1);
  let text = `{${fields}${fields === '' ? '' : ','}${JSON.stringify(name)}:"`;
  for await (const piece of base64Pieces(image)) {
    yield text + piece;
    text = '';
  }
  const others = JSON.stringify(after).slice(1);
  yield `${text}"${others === '}' ? '' : ','}${others}`;
}
