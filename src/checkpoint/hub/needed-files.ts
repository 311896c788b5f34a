/**
 * Which files of a repository are needed to draw: configurations, tokenizer, scheduler, and of each network's weights one variant as
 * safetensors. Repositories hold the same weights several times over; Stable Diffusion 1.5 is 44 GB on the hub, and 4.3 GB are needed.
 */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { quote } from '../../lib/foreign-text.ts';
import type { HubFile } from './hub-answers.ts';

const COMPONENTS = { text_encoder: 'model', unet: 'diffusion_pytorch_model', vae: 'diffusion_pytorch_model' } as const;
const SMALL_FILES =
  /^(?:model_index\.json|README\.md|scheduler\/scheduler_config\.json|tokenizer\/(?:tokenizer\.json|vocab\.json|merges\.txt|added_tokens\.json|tokenizer_config\.json|special_tokens_map\.json)|(?:text_encoder|unet|vae)\/config\.json)$/;

export interface WantedFiles {
  readonly id: string;
  readonly variant: string | undefined;
}

/** @throws `invalid_model_index` for a repository of another layout, `unsafe_weights` where there is only a pickle, `model_not_found` */
export function neededFiles(files: readonly HubFile[], { id, variant }: WantedFiles): readonly HubFile[] {
  if (!files.some(({ path }) => path === 'model_index.json')) {
    throw new Text2ImgError(
      'invalid_model_index',
      `the repository ${id} has no model_index.json; a checkpoint in the diffusers layout is needed.`,
    );
  }
  const has = ([component, base]: [string, string]): boolean =>
    parseWeights(files, component, base).some((weights) => weights.variant === variant);
  if (variant !== undefined && !Object.entries(COMPONENTS).some(has)) {
    throw new Text2ImgError(
      'model_not_found',
      `the repository ${id} has no weights of the variant ${quote(variant)}; leave out --variant to use those that it has.`,
    );
  }
  const weights = Object.entries(COMPONENTS).flatMap(([component, base]) =>
    weightFiles(files, { component, base, id, variant }),
  );
  return [...files.filter(({ path }) => SMALL_FILES.test(path)), ...weights];
}

interface WantedWeights extends WantedFiles {
  readonly component: string;
  readonly base: string;
}

interface WeightFile {
  readonly file: HubFile;
  readonly variant: string | undefined;
  readonly isShard: boolean;
  readonly isIndex: boolean;
}

/** The choice that `find-weight-files.ts` makes in a folder: the variant that was asked for, else plain files, else the only other there is. */
function weightFiles(files: readonly HubFile[], { component, base, id, variant }: WantedWeights): readonly HubFile[] {
  const parsed = parseWeights(files, component, base);
  // Where an index and a whole file lie side by side, diffusers takes the index and transformers the file.
  const heads = parsed
    .filter(({ isShard }) => !isShard)
    .toSorted((a, b) => (Number(b.isIndex) - Number(a.isIndex)) * (base === 'model' ? -1 : 1));
  const chosen =
    heads.find((head) => head.variant === variant) ?? heads.find((head) => head.variant === undefined) ?? heads[0];
  if (chosen === undefined) throw missing(files, { component, base, id, variant });
  if (!chosen.isIndex) return [chosen.file];
  return [
    chosen.file,
    ...parsed.filter(({ isShard, variant: other }) => isShard && other === chosen.variant).map(({ file }) => file),
  ];
}

function parseWeights(files: readonly HubFile[], component: string, base: string): readonly WeightFile[] {
  const start = `${component}/${base}`;
  return files.flatMap((file) => {
    if (!file.path.startsWith(start)) return [];
    const match =
      /^(?:\.(?!safetensors)([\w-]+?))?(-\d{5}-of-\d{5})?\.safetensors(\.index(?:\.([\w-]+))?\.json)?$/.exec(
        file.path.slice(start.length),
      );
    if (match === null) return [];
    const [, ownVariant, shard, index, indexVariant] = match;
    return [{ file, variant: ownVariant ?? indexVariant, isShard: shard !== undefined, isIndex: index !== undefined }];
  });
}

function missing(files: readonly HubFile[], { component, base, id }: WantedWeights): Text2ImgError {
  const pickle = files.find(({ path }) => path.startsWith(`${component}/`) && /\.(?:bin|ckpt|pt|pth)$/.test(path));
  if (pickle !== undefined)
    return new Text2ImgError(
      'unsafe_weights',
      `the repository ${id} has the weights of its ${component} only as the pickle ${quote(pickle.path)}, which can run code when it is read.`,
    );
  return new Text2ImgError('model_not_found', `the repository ${id} has no ${component}/${base}.safetensors.`);
}
