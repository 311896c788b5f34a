/** The records of ONNX's schema that `graph.ts` writes, out of its own. */
import type { TensorPlace } from './weights.ts';
import {
  type AttributeProto,
  ELEMENT_TYPES,
  type ElementType,
  type NodeProto,
  type TensorProto,
  type ValueInfoProto,
} from './onnx-schema.ts';

/** A dimension of a graph input or output: fixed, or a name for one that varies. */
export type Dimension = number | string;

export type Attribute = number | string | readonly number[];

/** Where a runtime finds a weight file. */
export interface WeightFilePlace {
  readonly location: string;
  /** Added to the tensors' offsets; absent: 0. */
  readonly startBytes?: number;
}

/** A tensor at a place of a file that the runtime finds where `location` says. */
export function externalAt(
  { offsetBytes, lengthBytes }: Pick<TensorPlace, 'offsetBytes' | 'lengthBytes'>,
  { location, startBytes = 0 }: WeightFilePlace,
): Partial<TensorProto> {
  return {
    dataLocation: 1,
    externalData: [
      { key: 'location', value: location },
      { key: 'offset', value: String(startBytes + offsetBytes) },
      { key: 'length', value: String(lengthBytes) },
    ],
  };
}

export function nodeProto(
  name: string,
  opType: string,
  input: readonly string[],
  output: readonly string[],
): NodeProto {
  return { name, opType, domain: '', input, output, attribute: [] };
}

export function attributeProto(name: string, value: Attribute): AttributeProto {
  if (typeof value === 'string') return { name, type: 3, s: new TextEncoder().encode(value) };
  if (typeof value !== 'number') return { name, type: 7, ints: value };
  return Number.isInteger(value) ? { name, type: 2, i: value } : { name, type: 1, f: value };
}

export function valueInfo(name: string, type: ElementType, dimensions: readonly Dimension[]): ValueInfoProto {
  const dim = dimensions.map((size) => (typeof size === 'number' ? { dimValue: size } : { dimParam: size }));
  return { name, type: { tensorType: { elemType: ELEMENT_TYPES[type], shape: { dim } } } };
}
