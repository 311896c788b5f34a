/** Turns the decoder's output into pixels. Source: diffusers image_processor.py, VaeImageProcessor.postprocess and numpy_to_pil. */
import { roundHalfEven } from '../../lib/float32.ts';

/** @param image [1, 3, H, W], nominally −1 … 1 @returns RGB, row by row, 3 bytes a pixel */
export function toRgb(image: Float32Array, pixels: number): Uint8Array<ArrayBuffer> {
  const rgb = new Uint8Array(pixels * 3);
  for (let channel = 0; channel < 3; channel++) {
    for (let pixel = 0; pixel < pixels; pixel++) {
      const unit = Math.fround(Math.fround((image[channel * pixels + pixel] as number) * 0.5) + 0.5);
      const scaled = Math.fround(Math.min(Math.max(unit, 0), 1) * 255);
      rgb[pixel * 3 + channel] = roundHalfEven(scaled);
    }
  }
  return rgb;
}
