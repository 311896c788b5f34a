/** Opens a component's weights: reads the headers of its files, and the small tensors at once. */
import { Text2ImgError } from '../errors/text2img-error.ts';
import { quote } from '../lib/foreign-text.ts';
import { openCheckpointFile } from './checkpoint-file.ts';
import { type ComponentFiles, findWeightFiles } from './find-weight-files.ts';
import { readExactly, readSafetensorsHeader } from './safetensors.ts';
import { withScales } from './weight-scales.ts';
import { SMALL_TENSOR_BYTES, type TensorPlace, type Weights } from '../onnx/weights.ts';

/** @throws `model_not_found`, `unsafe_weights`, `invalid_safetensors`, `invalid_config` */
export async function openComponentWeights(files: ComponentFiles): Promise<Weights> {
  const paths = await findWeightFiles(files);
  const places = new Map<string, TensorPlace>();
  for (const path of paths) {
    const { places: scaled } = await withScales(path, await readSafetensorsHeader(path));
    for (const [name, place] of scaled) places.set(name, place);
  }
  const { component, folder } = files;
  return loadSmallTensors({ component, where: folder, storedName: (name) => name }, places);
}

export interface WeightsSource {
  /** For messages. */
  readonly component: string;
  /** The folder or the file, for messages. */
  readonly where: string;
  /** A missing tensor as the file would spell it. */
  readonly storedName: (name: string) => string;
}

/**
 * Reads the small tensors at once, so that graphs can hold them and no file has to stay open.
 * @param places by the names that the graph asks for
 * @throws `model_not_found`, `invalid_safetensors`
 */
export async function loadSmallTensors(
  source: WeightsSource,
  places: ReadonlyMap<string, TensorPlace>,
): Promise<Weights> {
  const small = new Map<string, Uint8Array>();
  for (const [file, tensors] of Map.groupBy(places, ([, place]) => place.file)) {
    await using handle = await openCheckpointFile(file);
    for (const [name, place] of tensors) {
      if (place.lengthBytes > SMALL_TENSOR_BYTES || place.shape.length > 1) continue;
      const bytes = new Uint8Array(place.lengthBytes);
      await readExactly(handle, { bytes, at: place.offsetBytes, path: file });
      small.set(name, bytes);
    }
  }
  return new ComponentWeights(source, places, small);
}

class ComponentWeights implements Weights {
  readonly component: string;
  readonly #source: WeightsSource;
  readonly #places: ReadonlyMap<string, TensorPlace>;
  readonly #small: ReadonlyMap<string, Uint8Array>;

  constructor(source: WeightsSource, places: ReadonlyMap<string, TensorPlace>, small: ReadonlyMap<string, Uint8Array>) {
    this.component = source.component;
    this.#source = source;
    this.#places = places;
    this.#small = small;
  }

  names(): Iterable<string> {
    return this.#places.keys();
  }

  has(name: string): boolean {
    return this.#places.has(name);
  }

  place(name: string): TensorPlace {
    const place = this.#places.get(name);
    if (place === undefined) {
      throw new Text2ImgError(
        'missing_tensor',
        `${this.component}: the weights have no tensor ${quote(this.#source.storedName(name))}, which the configuration asks for (in ${this.#source.where}).`,
      );
    }
    return place;
  }

  smallTensor(name: string): Uint8Array | undefined {
    return this.#small.get(name);
  }
}
