/**
 * The request of `text2img generate`: what the flags say, else what the PNG of `--from` says.
 */
import { randomInt } from 'node:crypto';
import type { Config } from '../config/schema.ts';
import { Text2ImgError } from '../errors/text2img-error.ts';
import type { ParsedParameters } from '../image/generation-parameters.ts';
import { readGenerationParameters } from '../image/read-parameters.ts';
import type { GenerationRequest } from '../job/generation-request.ts';
import { parsePromptDocument } from '../job/prompt-document.ts';
import { limitsOf } from './limits.ts';
import { readNamedFile } from './read-input.ts';

/** Random seeds fit into what torch's generator reads. */
const RANDOM_SEEDS = 2 ** 32;

export interface RequestWithSource {
  /** Its seed is decided. */
  readonly request: GenerationRequest & { readonly seed: number };
  /** The model that drew the PNG of `--from`, when it says so. */
  readonly drawnBy: { readonly modelName: string | undefined; readonly modelHash: string | undefined } | undefined;
}

/** @throws `conflicting_options`, `not_found`, `unreadable_file`, and whatever the request itself deserves */
export async function requestOf(config: Config): Promise<RequestWithSource> {
  const source = config.from === undefined ? undefined : await readSource(config.from);
  const text = config.prompt ?? source?.prompt;
  if (text === undefined)
    throw new Text2ImgError('conflicting_options', 'There is nothing to draw: give --prompt, or --from with a PNG.');
  const fields = {
    text,
    negative_prompt: config.negativePrompt ?? source?.negativePrompt,
    seed: config.seed ?? source?.seed ?? randomInt(RANDOM_SEEDS),
    num_inference_steps: config.numInferenceSteps ?? source?.numInferenceSteps,
    guidance_scale: config.guidanceScale ?? source?.guidanceScale,
    width: config.width ?? source?.widthPx,
    height: config.height ?? source?.heightPx,
    num_images: config.numImages,
    scheduler: config.scheduler ?? source?.scheduler,
  };
  // The same rules as for a queued prompt, so that what can be drawn here can be drawn there.
  const document = Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
  const { request } = parsePromptDocument(document, limitsOf(config));
  const drawnBy =
    source === undefined ? undefined : { modelName: source.modelName, modelHash: source.modelHash ?? undefined };
  return { request: { ...request, seed: fields.seed }, drawnBy };
}

async function readSource(path: string): Promise<ParsedParameters> {
  const png = await readNamedFile(path, '--from');
  try {
    return readGenerationParameters(png);
  } catch (error) {
    if (!(error instanceof Text2ImgError)) throw error;
    throw new Text2ImgError(error.code, `--from ${JSON.stringify(path)}: ${error.message}`, { cause: error });
  }
}

/** `x.png`, or `x-1.png`, `x-2.png`, … when there are several. */
export function outputPaths({
  output,
  seed,
  numImages,
}: {
  output: string | undefined;
  seed: number;
  numImages: number;
}): string[] {
  const path = output ?? `./text2img-${seed}.png`;
  if (numImages === 1) return [path];
  const ending = /\.[^./\\]+$/.exec(path)?.[0] ?? '';
  const stem = path.slice(0, path.length - ending.length);
  return Array.from({ length: numImages }, (_, index) => `${stem}-${index + 1}${ending}`);
}
