/**
 * The tensors of a single file: names and places, and the values of the few small ones that say something about the model (`global_step`, `edm_mean`).
 */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { quote } from '../../lib/foreign-text.ts';
import { openCheckpointFile } from '../checkpoint-file.ts';
import { readNumbers } from '../read-numbers.ts';
import { readExactly, readSafetensorsHeader } from '../safetensors.ts';
import { type ScaledPlaces, withScales } from '../weight-scales.ts';
import type { TensorPlace } from '../../onnx/weights.ts';

/** Facts about the model have no dot in their names: weights always have one. */
const FACT = /^[^.]+$/;
const MAX_FACT_BYTES = 256;

export class FileTensors {
  /** The file, for messages. */
  readonly path: string;
  readonly #places: ReadonlyMap<string, TensorPlace>;
  readonly #facts: ReadonlyMap<string, readonly number[]>;
  /** Tensors that are read already, with others. */
  readonly #scales: ReadonlySet<string>;
  /** Every beginning of a name that ends before a dot. */
  readonly #modules = new Set<string>();

  constructor(
    path: string,
    { places, scales }: ScaledPlaces,
    facts: ReadonlyMap<string, readonly number[]> = new Map(),
  ) {
    this.path = path;
    this.#places = places;
    this.#scales = scales;
    this.#facts = facts;
    for (const name of places.keys())
      for (let dot = name.indexOf('.'); dot !== -1; dot = name.indexOf('.', dot + 1))
        this.#modules.add(name.slice(0, dot));
  }

  get places(): ReadonlyMap<string, TensorPlace> {
    return this.#places;
  }

  has(name: string): boolean {
    return this.#places.has(name);
  }

  /** Whether there are tensors below this name: `model.diffusion_model` has them in every checkpoint. */
  hasModule(name: string): boolean {
    return this.#modules.has(name);
  }

  /** How many modules are numbered from 0 below this name: `…transformer_blocks.0` and so on. */
  count(name: string): number {
    let count = 0;
    while (this.hasModule(`${name}.${count}`)) count++;
    return count;
  }

  shape(name: string): readonly number[] | undefined {
    return this.#places.get(name)?.shape;
  }

  /** For one that the configuration is read off. @throws `missing_tensor` */
  requiredShape(name: string): readonly number[] {
    const shape = this.shape(name);
    if (shape !== undefined) return shape;
    throw new Text2ImgError(
      'missing_tensor',
      `${this.path} has no tensor ${quote(name)}, which every such checkpoint has.`,
    );
  }

  /** Whether the tensor is the scale of another one. */
  isScale(name: string): boolean {
    return this.#scales.has(name);
  }

  /** The numbers of a small tensor without a dot in its name. */
  fact(name: string): readonly number[] | undefined {
    return this.#facts.get(name);
  }
}

/** @throws `invalid_safetensors`, `model_not_found` */
export async function readFileTensors(path: string): Promise<FileTensors> {
  const places = await readSafetensorsHeader(path);
  const facts = new Map<string, readonly number[]>();
  await using handle = await openCheckpointFile(path);
  for (const [name, { dtype, lengthBytes, offsetBytes }] of places) {
    if (!FACT.test(name) || lengthBytes > MAX_FACT_BYTES) continue;
    const bytes = new Uint8Array(lengthBytes);
    await readExactly(handle, { bytes, at: offsetBytes, path });
    const numbers = readNumbers(bytes, dtype);
    if (numbers !== undefined) facts.set(name, numbers);
  }
  return new FileTensors(path, await withScales(path, places), facts);
}
