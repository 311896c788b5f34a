/**
 * The inputs of the denoising network that a batch's passes share. They are brought to the device once. They are brought again when the rows of a pass
 * change: the guidance of an image ended, or an image left.
 */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import type { DeviceTensor, HostTensor, Tensors } from '../../runtime/contract.ts';
import { float32, floatsOf } from '../../runtime/tensors.ts';
import { batchedConditions, type Conditions } from './conditions.ts';
import { joined } from './joined.ts';
import type { Denoiser } from './networks.ts';

/** An image on its way. */
interface Conditioned {
  readonly conditions: Conditions;
}

/** One row of the network's inputs and outputs. */
export interface Row<S extends Conditioned = Conditioned> {
  readonly state: S;
  readonly half: keyof Conditions;
}

interface ResidentConditions {
  readonly rows: readonly Row[];
  readonly tensors: Tensors;
  readonly resources: DisposableStack;
}

interface ResidentFeature {
  readonly rows: readonly Row[];
  readonly tensor: DeviceTensor;
}

export class ResidentInputs implements Disposable {
  readonly #upload: Denoiser['upload'];
  #conditions: ResidentConditions | undefined;
  #feature: ResidentFeature | undefined;

  constructor(upload: Denoiser['upload']) {
    this.#upload = upload;
  }

  /** @returns the graph's inputs beside latents and timestep, [B, …] each @throws as `LoadTools.upload` */
  async conditions(rows: readonly Row[]): Promise<Tensors> {
    if (this.#conditions !== undefined && areEqual(this.#conditions.rows, rows)) return this.#conditions.tensors;
    this.#forgetConditions();
    using made = new DisposableStack();
    const tensors: Record<string, DeviceTensor> = {};
    for (const [name, tensor] of batchedConditions(rows.map(({ state, half }) => state.conditions[half])))
      tensors[name] = made.use(await this.#upload(tensor));
    this.#conditions = { rows, tensors, resources: made.move() };
    return tensors;
  }

  /** Of a whole pass. @param tensor [B, F, h', w'], disposed here */
  keepFeature(rows: readonly Row[], tensor: DeviceTensor): void {
    this.forgetFeature();
    this.#feature = { rows, tensor };
  }

  /** The last whole pass's, for rows that it had. @throws `internal` where it had them not, and as `LoadTools.upload` */
  async feature(rows: readonly Row[]): Promise<DeviceTensor> {
    const kept = this.#feature ?? { rows: [], tensor: undefined };
    if (kept.tensor !== undefined && areEqual(kept.rows, rows)) return kept.tensor;
    const places = rows.map((row) => kept.rows.findIndex((other) => isSame(other, row)));
    if (kept.tensor === undefined || places.includes(-1))
      throw new Text2ImgError('internal', 'a shallow pass came before the first whole one.');
    const tensor = await this.#upload(await pickedRows(kept.tensor, places));
    this.keepFeature(rows, tensor);
    return tensor;
  }

  /** A whole pass makes it anew. */
  forgetFeature(): void {
    this.#feature?.tensor[Symbol.dispose]();
    this.#feature = undefined;
  }

  [Symbol.dispose](): void {
    this.forgetFeature();
    this.#forgetConditions();
  }

  #forgetConditions(): void {
    this.#conditions?.resources.dispose();
    this.#conditions = undefined;
  }
}

function areEqual(rows: readonly Row[], others: readonly Row[]): boolean {
  return rows.length === others.length && rows.every((row, index) => isSame(row, others[index]));
}

function isSame({ state, half }: Row, other: Row | undefined): boolean {
  return state === other?.state && half === other.half;
}

async function pickedRows(tensor: DeviceTensor, places: readonly number[]): Promise<HostTensor> {
  const [rows = 1, ...shape] = tensor.shape;
  const data = floatsOf({ tensor: await tensor.read() }, 'tensor');
  const size = data.length / rows;
  const picked = joined(places.map((place) => data.subarray(place * size, (place + 1) * size)));
  return float32(picked, [places.length, ...shape]);
}
