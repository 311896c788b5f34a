/** Layers of SD 1.5's and SDXL's UNets with guidance (two halves), and weights for them in float32 and int8 per output channel. */

export interface Layer {
  readonly kind: 'linear' | 'conv';
  readonly outputs: number;
  readonly inputs: number;
  /** Linear: tokens. Conv: height and width, of two images. */
  readonly size: number;
}

export const LAYERS = {
  'xl-attention-1280': { kind: 'linear', outputs: 1280, inputs: 1280, size: 2048 },
  'xl-feed-forward-in': { kind: 'linear', outputs: 10_240, inputs: 1280, size: 2048 },
  'xl-feed-forward-out': { kind: 'linear', outputs: 1280, inputs: 5120, size: 2048 },
  'xl-attention-640': { kind: 'linear', outputs: 640, inputs: 640, size: 8192 },
  'xl-feed-forward-in-640': { kind: 'linear', outputs: 5120, inputs: 640, size: 8192 },
  'xl-cross-1280': { kind: 'linear', outputs: 1280, inputs: 2048, size: 154 },
  'sd-feed-forward-in-320': { kind: 'linear', outputs: 2560, inputs: 320, size: 8192 },
  'sd-feed-forward-in-1280': { kind: 'linear', outputs: 10_240, inputs: 1280, size: 512 },
  'sd-cross-320': { kind: 'linear', outputs: 320, inputs: 768, size: 154 },
  'sd-conv-320': { kind: 'conv', outputs: 320, inputs: 320, size: 64 },
  'sd-conv-1280': { kind: 'conv', outputs: 1280, inputs: 1280, size: 16 },
  'xl-conv-640': { kind: 'conv', outputs: 640, inputs: 640, size: 64 },
  'xl-conv-1280': { kind: 'conv', outputs: 1280, inputs: 1280, size: 32 },
} as const satisfies Record<string, Layer>;
export type LayerName = keyof typeof LAYERS;

/** [out, in] or [out, in, 3, 3]. */
export function weightShape({ kind, outputs, inputs }: Layer): number[] {
  return kind === 'linear' ? [outputs, inputs] : [outputs, inputs, 3, 3];
}

export function inputShape({ kind, inputs, size }: Layer): number[] {
  return kind === 'linear' ? [size, inputs] : [2, inputs, size, size];
}

/** Normal numbers of a fixed sequence, by the sum of four uniform ones. */
export function noise(count: number, scale: number, seed: number): Float32Array {
  let state = seed;
  const uniform = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32 - 0.5;
  };
  return new Float32Array(count).map(() => (uniform() + uniform() + uniform() + uniform()) * Math.sqrt(3) * scale);
}

export interface Quantised {
  readonly values: Int8Array;
  /** One for each output channel. */
  readonly scales: Float32Array;
}

/** Symmetric, the channel's largest magnitude at 127. */
export function quantise(weight: Float32Array, outputs: number): Quantised {
  const width = weight.length / outputs;
  const values = new Int8Array(weight.length);
  const scales = new Float32Array(outputs);
  for (let row = 0; row < outputs; row++) {
    const channel = weight.subarray(row * width, (row + 1) * width);
    const largest = channel.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const scale = largest === 0 ? 1 : largest / 127;
    scales[row] = scale;
    for (let index = 0; index < width; index++)
      values[row * width + index] = Math.round((channel[index] as number) / scale);
  }
  return { values, scales };
}
