/** An image that is no image, and for whose second attempt in float32 the memory does not suffice. */
import { Text2ImgError } from '../errors/text2img-error.ts';

export function isOutOfMemory(error: unknown): boolean {
  return error instanceof Text2ImgError && (error.code === 'engine_out_of_memory' || error.code === 'out_of_memory');
}

/** @param fault of the first attempt @returns the same, with the reason why there is no second one */
export function withoutMemory({ code, message }: Text2ImgError): Text2ImgError {
  return new Text2ImgError(
    code,
    `${message} Generating it again in float32 needs more memory than is free; a smaller size needs less.`,
  );
}
