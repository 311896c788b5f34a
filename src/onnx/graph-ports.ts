/** The inputs and outputs of a graph as its bytes say them, for runtimes that do not name them reliably. */
import { decodeModel, ELEMENT_TYPES, type ElementType } from './onnx-schema.ts';

interface GraphPort {
  readonly name: string;
  /** undefined: a type that this project does not use. */
  readonly type: ElementType | undefined;
  /** A number, or the name of a size that varies. */
  readonly dimensions: readonly (number | string)[];
}

export interface GraphPorts {
  readonly inputs: readonly GraphPort[];
  readonly outputs: readonly GraphPort[];
}

/** @throws an error of the protobuf reader for bytes that are no graph */
export function readPorts(model: Uint8Array): GraphPorts {
  const { graph } = decodeModel(model);
  return { inputs: graph.input.map(portOf), outputs: graph.output.map(portOf) };
}

function portOf({ name, type }: ReturnType<typeof decodeModel>['graph']['input'][number]): GraphPort {
  const { elemType, shape } = type.tensorType;
  const dimensions = shape.dim.map((dimension) =>
    'dimParam' in dimension && dimension.dimParam !== ''
      ? dimension.dimParam
      : Number('dimValue' in dimension ? dimension.dimValue : 1),
  );
  const found = Object.entries(ELEMENT_TYPES).find(([, number]) => number === elemType);
  return { name, type: found?.[0] as ElementType | undefined, dimensions };
}
