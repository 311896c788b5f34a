/**
 * The request of `text2img generate`: what the flags say, else what the PNG of `--from` says.
 */
import { randomInt } from 'node:crypto';
import type { Config } from '../config/options.ts';
import { Text2ImgError } from '../errors/text2img-error.ts';
import {
  isOwnText,
  parametersNotTaken,
  type ParsedParameters,
  parseGenerationParameters,
} from '../image/parameters-text.ts';
import { readParametersText } from '../image/read-parameters.ts';
import { countByHand, withoutDisplaced } from '../job/alternatives.ts';
import type { GenerationRequest } from '../job/generation-request.ts';
import { parsePromptDocument, toDocument } from '../job/prompt-document.ts';
import { REQUEST_FIELDS } from '../job/request-fields.ts';
import { quote } from '../lib/foreign-text.ts';
import { omitUndefined } from '../lib/omit-undefined.ts';
import { readNamedFile } from './read-input.ts';
import { limitsOf, statedValues } from './request-settings.ts';

/** Random seeds fit into what torch's generator reads. */
const RANDOM_SEEDS = 2 ** 32;

export interface RequestWithSource {
  /** Its seed is decided. */
  readonly request: GenerationRequest & { readonly seed: number };
  /** The model that generated the PNG of `--from`, when it says so. */
  readonly drawnBy: Partial<Record<'modelName' | 'modelHash' | 'vaeName', string | undefined>> | undefined;
  /** Settings in the PNG of `--from` that text2img does not use. */
  readonly notTaken: readonly string[];
  /** `clip_skip` is another tool's, in the PNG of `--from`. */
  readonly hasForeignClipSkip: boolean;
}

/** @throws `conflicting_options`, `not_found`, `unreadable_file`, and the errors of an invalid request */
export async function requestOf(config: Config): Promise<RequestWithSource> {
  const read = config.from === undefined ? undefined : await readSource(config.from);
  const source = read?.parameters;
  const flags = statedValues(REQUEST_FIELDS, config);
  const stated = { ...withoutDisplaced(source ?? {}, flags), ...flags };
  if (stated.prompt === undefined)
    throw new Text2ImgError(
      'conflicting_options',
      'There is nothing to generate. Give --from with a PNG, or a prompt: text2img generate "a red circle".',
    );
  // The same rules as for a queued prompt, so that what can be generated here can be generated there.
  const { request } = parsePromptDocument(toDocument(REQUEST_FIELDS, stated), limitsOf(config));
  const { seed = randomInt(RANDOM_SEEDS) } = request;
  const drawnBy =
    source === undefined
      ? undefined
      : { modelName: source.modelName, modelHash: source.modelHash ?? undefined, vaeName: source.vaeName };
  return {
    request: { ...request, seed },
    drawnBy,
    notTaken: read?.notTaken ?? [],
    hasForeignClipSkip: read?.isOwn === false && source?.clipSkip !== undefined && flags.clipSkip === undefined,
  };
}

interface Source {
  readonly parameters: ParsedParameters;
  readonly notTaken: readonly string[];
  /** text2img wrote the text. */
  readonly isOwn: boolean;
}

async function readSource(path: string): Promise<Source> {
  const png = await readNamedFile(path, '--from');
  try {
    const text = readParametersText(png);
    const { numInferenceSteps, ...parameters } = parseGenerationParameters(text);
    // A PNG has the number of steps beside the steps themselves.
    const steps = countByHand(parameters) === undefined ? omitUndefined({ numInferenceSteps }) : {};
    return {
      parameters: { ...steps, ...parameters },
      notTaken: parametersNotTaken(text),
      isOwn: isOwnText(text),
    };
  } catch (error) {
    if (!(error instanceof Text2ImgError)) throw error;
    throw new Text2ImgError(error.code, `--from ${quote(path)}: ${error.message}`, { cause: error });
  }
}
