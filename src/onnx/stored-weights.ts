/** Checks a weight's place in its file against what the configuration asks for. */
import { Text2ImgError } from '../errors/text2img-error.ts';
import { quote } from '../lib/foreign-text.ts';
import type { ElementType } from './onnx-schema.ts';
import type { SafetensorsDtype, TensorPlace, Weights } from './weights.ts';

export const STORED_TYPES: Partial<Record<SafetensorsDtype, ElementType>> = {
  F64: 'float64',
  F32: 'float32',
  F16: 'float16',
  BF16: 'bfloat16',
  F8_E4M3: 'float8e4m3fn',
  F8_E5M2: 'float8e5m2',
};

interface StoredWeight {
  readonly place: TensorPlace;
  readonly type: ElementType;
  /** As the configuration asks for it; the other way round where the file has the matrix so. */
  readonly shape: readonly number[];
}

/**
 * A stored tensor that differs only by dimensions of 1 (a linear layer saved as a 1×1 convolution) is accepted.
 * @throws `missing_tensor`, `wrong_tensor_shape`
 */
export function storedWeight(weights: Weights, name: string, shape: readonly number[]): StoredWeight {
  const place = weights.place(name, shape);
  const { storedName = name } = place;
  const type = STORED_TYPES[place.dtype];
  if (type === undefined) {
    const allowed = Object.keys(STORED_TYPES).join(', ');
    throw new Text2ImgError(
      'wrong_tensor_shape',
      `${weights.component}: tensor "${storedName}" has type ${place.dtype}; allowed are ${allowed} (in ${place.file}).`,
    );
  }
  const asked = place.transposed === true ? shape.toReversed() : shape;
  if (squeezed(place.shape) !== squeezed(asked)) {
    throw new Text2ImgError(
      'wrong_tensor_shape',
      `${weights.component}: tensor "${storedName}" has shape ${quote(place.shape)}, but the configuration asks for ${quote(asked)} (in ${place.file}).`,
    );
  }
  return { place, type, shape: asked };
}

function squeezed(shape: readonly number[]): string {
  return shape.filter((size) => size !== 1).join();
}
