/**
 * Which checkpoint to use: the user's, or the small one that comes with the package.
 */
import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Config } from '../config/schema.ts';
import { Text2ImgError } from '../errors/text2img-error.ts';

/** Lies as far above `src/cli/` as above `dist/cli/`. */
const DEMO_MODEL = fileURLToPath(new URL('../../models/demo', import.meta.url));

/** @returns an absolute path @throws `model_not_found` */
export async function findModelFolder(config: Config): Promise<string> {
  const { model } = config;
  if (model === undefined) return DEMO_MODEL;
  const facts = await stat(model).catch(() => undefined);
  if (facts?.isDirectory()) return resolve(model);
  const quoted = JSON.stringify(model);
  if (facts !== undefined)
    throw new Text2ImgError(
      'model_not_found',
      `The model ${quoted} is a file; name the folder of a checkpoint in the diffusers layout.`,
    );
  const hint = /^[\w.-]+\/[\w.-]+$/.test(model)
    ? 'Models are not fetched from the Hugging Face hub by this version yet; download it and name the folder.'
    : 'Name the folder of a checkpoint in the diffusers layout.';
  throw new Text2ImgError('model_not_found', `The model ${quoted} does not exist. ${hint}`);
}
