/**
 * Makes the tiny single files of `test/single-files` again: their weights follow from names and indexes by integer arithmetic, as in
 * `reference/original_layout.py`, so only names and shapes are stored. Also the same weights as a folder in the diffusers layout.
 */
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { type StoredTensor, setKeys, writeTensors } from '../checkpoint-copies.ts';
import { type StoredType, type StoredValues, scaledToFloat32, storedAs, storedValues } from './stored-types.ts';

export const SINGLE_FILES = fileURLToPath(new URL('../../single-files', import.meta.url));
const TOKENIZER = fileURLToPath(new URL('../../golden/base/tokenizer', import.meta.url));

type Shapes = Readonly<Record<string, readonly number[]>>;
/** diffusers' name with its component in front → the file's, and a third of its rows, or `transposed`. */
export type Names = Readonly<Record<string, readonly [stored: string, part?: number | 'transposed']>>;

/** Where a case is like another, its other files are that one's. */
interface CaseRecord {
  readonly like?: string;
  readonly more?: Shapes;
  readonly type?: StoredType;
  /** Tensors whose content says something. */
  readonly values?: Readonly<Record<string, StoredValues>>;
  /** Lowers the gains of a deep network, in which the rounding of float32 would be seen. */
  readonly calm?: number;
  /** Matrices are float8, each with a scale beside it. */
  readonly is_scaled?: boolean;
  readonly tokenizers: Readonly<Record<string, string>>;
}

export function readCaseFile(name: string, file: string): unknown {
  const own = join(SINGLE_FILES, name, file);
  const path = existsSync(own) ? own : join(SINGLE_FILES, likeOf(name), file);
  const bytes = existsSync(path) ? readFileSync(path) : gunzipSync(readFileSync(`${path}.gz`));
  return JSON.parse(bytes.toString());
}

function recordOf(name: string): CaseRecord {
  return JSON.parse(readFileSync(join(SINGLE_FILES, name, 'case.json'), 'utf8')) as CaseRecord;
}

/** The case that has the configurations, shapes and names. */
function likeOf(name: string): string {
  return recordOf(name).like ?? name;
}

function shapesOf(name: string): Shapes {
  return { ...(readCaseFile(name, 'tensors.json') as Shapes), ...recordOf(name).more };
}

/** FNV-1a */
function nameHash(name: string): number {
  return [...Buffer.from(name)].reduce((value, byte) => Math.imul(value ^ byte, 16777619), 2166136261 | 0);
}

/** −1 … 1 */
function uniform(hash: number, index: number): number {
  let x = (hash + Math.imul(index, 0x9e3779b9)) | 0;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  x ^= x >>> 16;
  return (x >>> 8) / 8388608 - 1;
}

/** Layers of TAESD, which has no norms: with raised gains nothing but black and white would be left. */
const TAESD = /^(?:(?:en|de)coder\.layers\.)?\d+\./u;
const TAESD_LAST = /^(?:decoder\.layers\.18|19)\./u;

function gainOf(name: string): number {
  if (TAESD.test(name)) return TAESD_LAST.test(name) ? 0.25 : 0.65;
  return name.includes('.attn2.') ? 2.4 : 1.2;
}

function valueOf(name: string, shape: readonly number[], calm: number): (u: number) => number {
  if (shape.length === 1 && TAESD.test(name)) return (u) => (TAESD_LAST.test(name) ? 0.5 : 0.15) + 0.2 * u;
  if (shape.length === 1) return name.endsWith('bias') ? (u) => 0.35 * u : (u) => 1 + 0.4 * u;
  if (name.includes('embedding')) return (u) => 1.7 * u;
  const scale = calm * gainOf(name) * Math.sqrt(3 / shape.slice(1).reduce((product, size) => product * size, 1));
  return (u) => scale * u;
}

interface MadeOptions {
  readonly type: StoredType;
  readonly calm?: number;
}

/** A float16 number, which a smaller type rounds. */
function madeTensor(name: string, shape: readonly number[], { type, calm = 1 }: MadeOptions): StoredTensor {
  const count = shape.reduce((product, size) => product * size, 1);
  const [hash, value] = [nameHash(name), valueOf(name, shape, calm)];
  const data = new Float16Array(count);
  for (let index = 0; index < count; index++) data[index] = value(uniform(hash, index));
  return { shape, ...storedAs(type, data) };
}

/** Of the case that was made last: a case is made four times on end, and large ones take seconds. */
let last: { readonly name: string; readonly tensors: ReadonlyMap<string, StoredTensor> } | undefined;

/** As in the file. Their data are shared with later calls. */
function madeTensors(name: string): Map<string, StoredTensor> {
  if (last?.name !== name) last = { name, tensors: makeTensors(name) };
  return new Map(last.tensors);
}

function makeTensors(name: string): Map<string, StoredTensor> {
  const { type = 'float16', values = {}, is_scaled: isScaled = false, calm = 1 } = recordOf(name);
  const made = Object.entries(shapesOf(name)).flatMap(([tensor, shape]): [string, StoredTensor][] =>
    isScaled && isMatrix(tensor, shape)
      ? scaledMatrix(tensor, madeTensor(tensor, shape, { type: 'float8_e4m3fn' }))
      : [[tensor, madeTensor(tensor, shape, { type, calm })]],
  );
  return new Map([...made, ...Object.entries(values).map(([tensor, value]) => [tensor, storedValues(value)] as const)]);
}

function isMatrix(name: string, shape: readonly number[]): boolean {
  return shape.length === 2 && name.endsWith('.weight') && !name.includes('embedding');
}

/** Follows from the name. */
function scaleOf(name: string): number {
  return Math.fround(1 + 0.25 * uniform(nameHash(`${name} scale`), 0));
}

/** Some programs call the scale `scale_weight` and make it a number, others call it `weight_scale` and make it a list of one. */
function scaledMatrix(name: string, matrix: StoredTensor): [string, StoredTensor][] {
  const isUNet = name.startsWith('model.diffusion_model.');
  const scaleName = name.replace(/weight$/u, isUNet ? 'scale_weight' : 'weight_scale');
  const scale = storedValues({ dtype: 'F32', shape: isUNet ? [] : [1], values: [scaleOf(name)] });
  return [
    [name, matrix],
    [scaleName, scale],
  ];
}

/** Without scales: the matrices multiplied by them in float32. */
function widened(tensors: ReadonlyMap<string, StoredTensor>): Map<string, StoredTensor> {
  return new Map(
    [...tensors].map(([name, tensor]) =>
      tensor.dtype === 'F8_E4M3' ? [name, scaledToFloat32(tensor, scaleOf(name))] : [name, tensor],
    ),
  );
}

/** Makes the case's file. @param change may add and remove tensors */
export function madeFile(
  t: Pick<TestContext, 'after'>,
  name: string,
  change: (tensors: Map<string, StoredTensor>) => void = () => undefined,
): string {
  const folder = temporaryFolder(t);
  const tensors = madeTensors(name);
  change(tensors);
  const path = join(folder, `${name}.safetensors`);
  writeTensors(path, tensors);
  return path;
}

/** The same weights in the diffusers layout, under the names that diffusers found for them. */
export function madeFolder(t: Pick<TestContext, 'after'>, name: string): string {
  const folder = temporaryFolder(t);
  cpSync(join(SINGLE_FILES, likeOf(name), 'config'), folder, { recursive: true });
  const ownConfig = join(SINGLE_FILES, name, 'config');
  if (existsSync(ownConfig)) cpSync(ownConfig, folder, { recursive: true });
  copyTokenizers(name, folder);
  const tensors = recordOf(name).is_scaled === true ? widened(madeTensors(name)) : madeTensors(name);
  const names = Object.entries(readCaseFile(name, 'names.json') as Names);
  for (const [component, group] of Map.groupBy(names, ([key]) => key.slice(0, key.indexOf('/')))) {
    const own = new Map(
      group.map(([key, [stored, part]]) => [
        key.slice(component.length + 1),
        partOf(tensors.get(stored) as StoredTensor, part),
      ]),
    );
    mkdirSync(join(folder, component), { recursive: true });
    const base = component.startsWith('text_encoder') ? 'model' : 'diffusion_pytorch_model';
    writeTensors(join(folder, component, `${base}.safetensors`), own);
  }
  return folder;
}

function copyTokenizers(name: string, folder: string): void {
  for (const [component, pad] of Object.entries(recordOf(name).tokenizers)) {
    cpSync(TOKENIZER, join(folder, component), { recursive: true });
    setKeys(join(folder, component, 'special_tokens_map.json'), { pad_token: pad });
  }
}

function partOf({ dtype, shape, data }: StoredTensor, part: number | 'transposed' | undefined): StoredTensor {
  const [rows = 1, columns = 1] = shape;
  if (part === undefined) return { dtype, shape, data };
  if (part !== 'transposed') {
    const bytes = data.length / 3;
    return { dtype, shape: [rows / 3, ...shape.slice(1)], data: data.subarray(part * bytes, (part + 1) * bytes) };
  }
  const size = data.length / (rows * columns);
  const turned = Buffer.alloc(data.length);
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++)
      data.copy(
        turned,
        (column * rows + row) * size,
        (row * columns + column) * size,
        (row * columns + column + 1) * size,
      );
  return { dtype, shape: [columns, rows], data: turned };
}

function temporaryFolder(t: Pick<TestContext, 'after'>): string {
  const folder = mkdtempSync(join(tmpdir(), 'text2img-single-file-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

const VAE_FILES = fileURLToPath(new URL('../../vae-files', import.meta.url));

/** Makes a file of `test/vae-files`: an autoencoder alone. */
export function madeVaeFile(t: Pick<TestContext, 'after'>, name: string): string {
  const read = (file: string): unknown => JSON.parse(readFileSync(join(VAE_FILES, name, file), 'utf8'));
  const { type = 'float16' } = read('case.json') as Pick<CaseRecord, 'type'>;
  const shapes = Object.entries(read('tensors.json') as Shapes);
  const path = join(temporaryFolder(t), `${name}.safetensors`);
  writeTensors(path, new Map(shapes.map(([tensor, shape]) => [tensor, madeTensor(tensor, shape, { type })])));
  return path;
}
