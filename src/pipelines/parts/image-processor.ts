/** Turns the decoder's output into pixels. Source: diffusers image_processor.py, VaeImageProcessor.postprocess and numpy_to_pil. */

/** @param image [1, 3, H, W], nominally −1 … 1 @returns RGB, row by row, 3 bytes a pixel */
export function toRgb(image: Float32Array, pixels: number): Uint8Array<ArrayBuffer> {
  // It rounds halves to the even neighbour as numpy does, and keeps to 0 … 255.
  const rgb = new Uint8ClampedArray(pixels * 3);
  const [greens, blues] = [pixels, 2 * pixels];
  for (let pixel = 0, target = 0; pixel < pixels; pixel++, target += 3) {
    rgb[target] = scaled(image[pixel] as number);
    rgb[target + 1] = scaled(image[greens + pixel] as number);
    rgb[target + 2] = scaled(image[blues + pixel] as number);
  }
  return new Uint8Array(rgb.buffer);
}

function scaled(value: number): number {
  const unit = Math.fround(Math.fround(value * 0.5) + 0.5);
  return Math.fround(unit * 255);
}
