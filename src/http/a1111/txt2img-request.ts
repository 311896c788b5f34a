/** A `txt2img` body as prompt documents: one for each of `n_iter`, with `batch_size` images each. */
import { whole } from '../../job/field-types.ts';
import { NO_LIMITS } from '../../job/limits.ts';
import type { FieldTable } from '../../job/request-field.ts';
import { REQUEST_FIELDS, SIDE_MULTIPLE_PX } from '../../job/request-fields.ts';
import { isRecord } from '../../lib/foreign-record.ts';
import { quote } from '../../lib/foreign-text.ts';
import { omitUndefined } from '../../lib/omit-undefined.ts';
import type { RawPromptDocument } from '../../queue/prompt-queue.ts';
import { type Body, BULKY, isEmpty, numberIn, readBody, statedIn, textIn } from './body.ts';
import { noEffectWarnings, settingsWarnings } from './no-effect.ts';
import { withTagArguments } from './sd-cpp-arguments.ts';
import { askedSampler, takes } from './samplers.ts';
import { FIXED_SETTINGS, MODEL_SETTING } from './settings.ts';

export interface Txt2ImgRequest {
  /** Without secrets: what the hash for repeats is made of. */
  readonly body: Body;
  /** In the order of their images. */
  readonly documents: readonly RawPromptDocument[];
  /** The model's name as it was asked for; undefined: none. */
  readonly model: string | undefined;
  readonly sendsImages: boolean;
  readonly warnings: readonly string[];
  /** The answer's `parameters`: the body without secrets and images. */
  readonly parameters: Body;
}

/** More passes than the web UI's slider has. Each becomes a job. */
const MOST_PASSES = 100;
const passes = whole({ min: 1, max: MOST_PASSES });

/** The web UI's names for our fields, where they differ. */
const NAMES: Readonly<Record<string, string>> = {
  [REQUEST_FIELDS.prompt.wire]: 'prompt',
  [REQUEST_FIELDS.numInferenceSteps.wire]: 'steps',
  [REQUEST_FIELDS.guidanceScale.wire]: 'cfg_scale',
  [REQUEST_FIELDS.numImages.wire]: 'batch_size',
  [REQUEST_FIELDS.scheduler.wire]: 'sampler_name',
  [REQUEST_FIELDS.scheduleType.wire]: 'scheduler',
};

const MADE_HERE = ['text', 'scheduler', 'num_images', 'seed', 'width', 'height', 'clip_skip', 'eta'];
/** Our own fields, which the web UI does not have: they are read under their own names. */
const OWN_FIELDS = Object.values<FieldTable[string]>(REQUEST_FIELDS)
  .map(({ wire, type }) => ({ wire, isText: type(NO_LIMITS).json.type === 'string' }))
  .filter(({ wire }) => !MADE_HERE.includes(wire));

const READ: ReadonlySet<string> = new Set([
  ...OWN_FIELDS.map(({ wire }) => wire),
  'prompt',
  'steps',
  'cfg_scale',
  'seed',
  'width',
  'height',
  'clip_skip',
  'eta',
  'sampler_name',
  'sampler_index',
  'scheduler',
  'batch_size',
  'n_iter',
  'model',
  'send_images',
  'override_settings',
]);

const CLIP_SETTING = 'CLIP_stop_at_last_layers';
const READ_SETTINGS: ReadonlySet<string> = new Set([MODEL_SETTING, CLIP_SETTING]);

/**
 * @param randomSeed asked where several passes need one seed, so that image k has seed + k
 * @throws `invalid_parameter` for a body that is no object and for a bad `n_iter`; the rest is checked with the documents
 */
export function readTxt2Img(json: unknown, randomSeed: () => number): Txt2ImgRequest {
  const stated = readBody(json);
  const { body, warnings } = withTagArguments(stated);
  const settings = isRecord(body['override_settings']) ? body['override_settings'] : {};
  const size = readSize(body);
  const sampler = askedSampler(body);
  const eta = readEta(body, sampler.fields.scheduler);
  const document = omitUndefined({
    ...Object.fromEntries(
      OWN_FIELDS.map(({ wire, isText }) => [wire, isText ? statedIn(body, wire) : numberIn(body, wire)]),
    ),
    text: body['prompt'] ?? '',
    num_inference_steps: numberIn(body, 'steps') ?? numberIn(body, 'num_inference_steps'),
    guidance_scale: numberIn(body, 'cfg_scale') ?? numberIn(body, 'guidance_scale'),
    ...size.fields,
    ...sampler.fields,
    ...eta.fields,
    clip_skip: readClipSkip(numberIn(settings, CLIP_SETTING) ?? numberIn(body, 'clip_skip')),
    num_images: readBatchSize(body),
  });
  return {
    body: stated,
    documents: passesOf(document, body, randomSeed),
    model: textIn(settings, MODEL_SETTING) ?? textIn(body, 'model'),
    sendsImages: body['send_images'] !== false && body['send_images'] !== 'false',
    warnings: [
      ...warnings,
      ...sampler.warnings,
      ...size.warnings,
      ...eta.warnings,
      ...noEffectWarnings(body, READ),
      ...settingsWarnings(settings, READ_SETTINGS, FIXED_SETTINGS),
    ],
    parameters: Object.fromEntries(Object.entries(stated).filter(([name]) => !BULKY.has(name))),
  };
}

/** A sentence about a document, with the names that the client knows. */
export function inWebUiNames(sentence: string): string {
  return sentence.replaceAll(/"([a-z_]+)"/g, (quoted, name: string) =>
    Object.hasOwn(NAMES, name) ? `"${NAMES[name]}"` : quoted,
  );
}

function passesOf(document: RawPromptDocument, body: Body, randomSeed: () => number): readonly RawPromptDocument[] {
  const asked = numberIn(body, 'n_iter') ?? 1;
  const count = passes.parse(asked);
  if (count === undefined) throw passes.refuse('n_iter', asked);
  const stated = numberIn(body, 'seed');
  const seed = stated === REQUEST_FIELDS.seed.type().absent ? undefined : stated;
  if (count === 1) return [seed === undefined ? document : { ...document, seed }];
  const first = seed ?? randomSeed();
  const batchSize = typeof document['num_images'] === 'number' ? document['num_images'] : 1;
  return Array.from({ length: count }, (_, index) => ({
    ...document,
    seed: typeof first === 'number' ? first + index * batchSize : first,
  }));
}

interface ReadFields {
  readonly fields: RawPromptDocument;
  readonly warnings: readonly string[];
}

/** Sides that 8 does not divide are rounded down, as the web UI does. */
function readSize(body: Body): ReadFields {
  const sides = ['width', 'height'].map((name) => ({ name, asked: numberIn(body, name) }));
  const rounded = sides.map(({ name, asked }) => ({ name, asked, side: roundedSide(asked) }));
  return {
    fields: omitUndefined(Object.fromEntries(rounded.map(({ name, side }) => [name, side]))),
    warnings: rounded
      .filter(({ asked, side }) => asked !== side)
      .map(({ name, asked, side }) => `"${name}" is ${String(asked)}; it was rounded down to ${String(side)}.`),
  };
}

function roundedSide(side: unknown): unknown {
  if (typeof side !== 'number' || !Number.isSafeInteger(side) || side < SIDE_MULTIPLE_PX) return side;
  return side - (side % SIDE_MULTIPLE_PX);
}

/** The web UI counts from 1, which leaves no layer out; −1 and 0 of stable-diffusion.cpp say the same. */
function readClipSkip(stated: unknown): unknown {
  if (typeof stated !== 'number') return stated;
  return stated <= 1 ? undefined : stated - 1;
}

function readBatchSize(body: Body): unknown {
  const asked = numberIn(body, 'batch_size');
  return asked === 1 ? undefined : asked;
}

/** 1 is the default of all clients, and no wish: with DDIM the web UI itself takes 0 where nobody asks. */
function readEta(body: Body, sampler: unknown): ReadFields {
  const eta = numberIn(body, 'eta');
  if (isEmpty(eta) || eta === 1) return { fields: {}, warnings: [] };
  // Every sampler may be given 0, which says as much as none; the web UI's ancestral ones change with it.
  const isTaken = typeof sampler === 'string' && takes(sampler, { eta: typeof eta === 'number' && eta > 0 ? eta : 1 });
  if (isTaken) return { fields: { eta }, warnings: [] };
  return { fields: {}, warnings: [`"eta" is ${quote(eta)}, which has no effect: the sampler takes none.`] };
}
