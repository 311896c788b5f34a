/** The project's tensors as OpenVINO's, and back. */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import type { ElementType, HostTensor } from '../contract.ts';
import { hostTensorOver } from '../tensors.ts';
import { ELEMENT_NUMBERS, type Handle, type HostShape, type NativeShape } from './bindings.ts';
import type { OpenVinoCore } from './core.ts';

/** Memory that OpenVINO reads in place: it must stay referenced, because nothing else keeps it from being collected. */
export interface LentTensor {
  readonly handle: Handle;
  readonly memory: readonly ArrayBufferView[];
}

/** The same memory as an input of OpenVINO. @throws `inference_failed` */
export function lend(core: OpenVinoCore, tensor: HostTensor): LentTensor {
  refuseLargeNumbers(tensor);
  const { type, shape, data } = tensor;
  // An empty array has no address, and OpenVINO asks for one.
  const memory = data.length === 0 ? new Uint8Array(1) : data;
  const hostShape: HostShape = { rank: shape.length, dims: BigInt64Array.from(shape, BigInt) };
  const handle = core.make('an input of a network could not be made', (box) =>
    core.functions.createTensor(ELEMENT_NUMBERS[type], hostShape, memory, box),
  );
  return { handle, memory: [memory, hostShape.dims] };
}

/** OpenVINO computes with 32 bits of whole numbers on a CPU, and drops the others without a word (2026.4). */
function refuseLargeNumbers({ type, data }: HostTensor): void {
  if (type !== 'int64') return;
  const large = data.find((value) => BigInt.asIntN(32, value) !== value);
  if (large === undefined) return;
  throw new Text2ImgError(
    'inference_failed',
    `an input of a network has the number ${large}; OpenVINO computes with whole numbers of 32 bits.`,
  );
}

/** A copy of an output, whose memory the next run overwrites. @throws `inference_failed` */
export function copyOutput(core: OpenVinoCore, tensor: Handle): HostTensor {
  const { functions } = core;
  const what = 'an output of a network could not be read';
  const number: [number] = [0];
  core.check(what, functions.tensorType(tensor, number));
  const bytes: [number] = [0];
  core.check(what, functions.tensorBytes(tensor, bytes));
  const shape = shapeOf(core, tensor);
  // A tensor without elements may have no memory.
  const buffer =
    bytes[0] === 0
      ? new ArrayBuffer()
      : functions.bytesAt(
          core.make(what, (box) => functions.tensorData(tensor, box)),
          bytes[0],
        );
  return hostTensorOver(buffer, typeOf(number[0]), shape);
}

function shapeOf(core: OpenVinoCore, tensor: Handle): number[] {
  const shape: Partial<NativeShape> = {};
  core.check('the shape of an output could not be read', core.functions.tensorShape(tensor, shape));
  const { rank = 0, dims = null } = shape;
  if (dims === null) return [];
  const sizes = Array.from(
    new BigInt64Array(core.functions.bytesAt(dims, rank * BigInt64Array.BYTES_PER_ELEMENT)),
    Number,
  );
  core.functions.freeShape({ rank, dims });
  return sizes;
}

function typeOf(number: number): ElementType {
  for (const [type, known] of Object.entries(ELEMENT_NUMBERS)) if (known === number) return type as ElementType;
  throw new Text2ImgError(
    'internal',
    `an output of a network has OpenVINO's element type ${number}; allowed are ${Object.values(ELEMENT_NUMBERS).join(', ')}.`,
  );
}
