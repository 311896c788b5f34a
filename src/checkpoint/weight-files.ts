/**
 * Which weight files a component has, by their names alone: in a folder, and in the hub's file list before anything is fetched. Only safetensors
 * are taken, as one file or as shards with their index, of a variant (`fp16`) or plain.
 * Source: diffusers models/modeling_utils.py (from_pretrained) and models/model_loading_utils.py (_fetch_index_file and its legacy form);
 * transformers modeling_utils.py (_get_resolved_checkpoint_files).
 */
import { Text2ImgError } from '../errors/text2img-error.ts';
import { quote } from '../lib/foreign-text.ts';

export interface WantedWeights {
  /** `unet` */
  readonly component: string;
  /** `diffusion_pytorch_model` of diffusers, `model` of transformers */
  readonly baseName: string;
  /** `fp16`: files called `<base>.fp16.safetensors` come first. */
  readonly variant?: string;
}

interface WeightFile {
  readonly name: string;
  readonly variant: string | undefined;
  readonly kind: 'whole' | 'index' | 'shard';
}

/**
 * The name after the base name. A shard's variant stands before or after the shard's number. An index's variant stands before `.json`, and in older
 * files before `.safetensors`.
 */
const REST =
  /^(?:\.(?!safetensors)([\w-]+?))?(?:(-\d{5}-of-\d{5})(?:\.(?!safetensors)([\w-]+))?)?\.safetensors(\.index(?:\.([\w-]+))?\.json)?$/;

function parse(name: string, baseName: string): WeightFile | undefined {
  const match = name.startsWith(baseName) ? REST.exec(name.slice(baseName.length)) : null;
  if (match === null) return undefined;
  const [, before, shard, behind, index, ofIndex] = match;
  const kind = index !== undefined ? 'index' : shard !== undefined ? 'shard' : 'whole';
  return { name, kind, variant: before ?? behind ?? ofIndex };
}

function parseAll(names: readonly string[], baseName: string): readonly WeightFile[] {
  // The order of a folder's names differs from one file system to the next.
  return names.toSorted().flatMap((name) => parse(name, baseName) ?? []);
}

/**
 * The file or the index to begin with: of the variant that was asked for, else plain, else of the only variant there is.
 * @returns undefined where there is none @throws `model_not_found` where there are several variants and no plain file
 */
export function chooseWeightFile(names: readonly string[], wanted: WantedWeights): WeightFile | undefined {
  const heads = parseAll(names, wanted.baseName).filter(({ kind }) => kind !== 'shard');
  return bestOf(heads, wanted.variant, wanted) ?? bestOf(heads, undefined, wanted) ?? onlyVariant(heads, wanted);
}

/** Where a whole file and an index lie side by side, diffusers takes the index and transformers the file. */
function bestOf(
  heads: readonly WeightFile[],
  variant: string | undefined,
  { baseName }: WantedWeights,
): WeightFile | undefined {
  const some = heads.filter((head) => head.variant === variant);
  const preferred = baseName === 'model' ? 'whole' : 'index';
  return some.find(({ kind }) => kind === preferred) ?? some[0];
}

/** The only variant there is stands for the plain files that are missing; of several, the user must name one. */
function onlyVariant(heads: readonly WeightFile[], wanted: WantedWeights): WeightFile | undefined {
  const variants = [...new Set(heads.map(({ variant }) => variant))];
  if (variants.length < 2) return bestOf(heads, variants[0], wanted);
  throw new Text2ImgError(
    'model_not_found',
    `${wanted.component} has weights of several variants and none without: ${variants.map((name) => quote(name, 40)).join(', ')}; ` +
      'name one with --variant.',
  );
}

/** The shards of an index, as far as the names show them. In a folder the index itself says more. */
export function shardsOf({ variant }: WeightFile, names: readonly string[], baseName: string): readonly string[] {
  return parseAll(names, baseName)
    .filter((file) => file.kind === 'shard' && file.variant === variant)
    .map(({ name }) => name);
}

/** Whether there is a file or an index of this variant. */
export function namesVariant(names: readonly string[], baseName: string, variant: string): boolean {
  return parseAll(names, baseName).some((file) => file.kind !== 'shard' && file.variant === variant);
}

/** Files of Python's pickle can run code when they are read. */
export function isPickle(name: string): boolean {
  return /\.(?:bin|ckpt|pt|pth)$/.test(name);
}
