/**
 * `text2img generate`: generates one prompt and writes its images, without a queue.
 */
import { dirname, resolve } from 'node:path';
import type { EngineHost } from '../engine/engine-host.ts';
import type { JobResult } from '../engine/engine-job.ts';
import { singleFileName } from '../checkpoint/single-file/single-file-name.ts';
import { encodePng } from '../image/encode-png.ts';
import { imageParameters } from '../image/image-parameters.ts';
import { AutomaticSchedules } from '../job/automatic-schedules.ts';
import type { ResolvedGenerationRequest } from '../job/generation-request.ts';
import { loggedRequest } from '../job/logged-request.ts';
import type { ModelFacts } from '../job/model-facts.ts';
import { usedParameters } from '../job/prompt-document.ts';
import { REQUEST_FIELDS } from '../job/request-fields.ts';
import { requestWarnings } from '../job/request-warnings.ts';
import { resolveRequest } from '../job/resolve-request.ts';
import { excerpt, printable } from '../lib/foreign-text.ts';
import { type CommandContext, type ExitCode, printResult } from './command-context.ts';
import { type RequestWithSource, requestOf } from './generation-options.ts';
import { limitsOf } from './request-settings.ts';
import { findModel } from '../app/find-model.ts';
import { openEngine } from '../app/open-engines.ts';
import { engineOptions, modelSettings } from '../app/settings.ts';
import { downloadBar } from './download-bar.ts';
import { madeText, shortPlace } from './made-text.ts';
import { checkOutputs, isStandardOutput, outputPaths, writeImage, writeToStream } from './output-file.ts';

export async function generate(context: CommandContext): Promise<ExitCode> {
  const { config } = context;
  const startedMs = performance.now();
  const wanted = await requestOf(config);
  warnOfNotTaken(context, wanted);
  const paths = await outputPaths({
    output: config.output,
    seed: wanted.request.seed,
    numImages: wanted.request.numImages ?? 1,
  });
  // Before the model is loaded: nobody should wait for an image that cannot be kept.
  await checkOutputs(paths, { json: config.json, isTerminal: process.stdout.isTTY, mayReplace: config.clobber });

  const { environment, logger, terminal } = context;
  const model = await findModel(modelSettings(config, { defaultModel: undefined, environment }), {
    logger,
    events: downloadBar(terminal),
  });
  await using engine = await openEngine(engineOptions(config, environment), { model, logger });
  warnOfOtherModel(context, wanted.drawnBy, engine);
  warnOfOtherVae(context, wanted.drawnBy, engine);
  const { seed } = wanted.request;
  const stated = statedFor(context, wanted, engine.model);
  const request = resolveRequest(stated, { defaults: {}, limits: limitsOf(config), model: engine.model, seed });
  new AutomaticSchedules().tell(request, logger);
  const result = await draw(context, engine, request);
  const asked = new Set(Object.keys(stated));
  await writeImages(context, { request, asked, result, engine, paths });
  if (!config.json) terminal.line(summaryOf(paths, performance.now() - startedMs));
  return 0;
}

async function draw(
  { terminal, logger }: CommandContext,
  engine: EngineHost,
  request: ResolvedGenerationRequest,
): Promise<JobResult> {
  logger.info('generating', loggedRequest(REQUEST_FIELDS, request));
  const label = request.numImages === 1 ? 'image' : `${request.numImages} images`;
  const jobId = 'generate';
  try {
    const [result] = engine.generate([{ jobId, request, images: [] }], {
      onProgress: (_, progress) => terminal.progress(jobId, { label, ...progress }),
    });
    return await result;
  } finally {
    terminal.endProgress(jobId);
  }
}

interface Drawn {
  readonly request: ResolvedGenerationRequest;
  /** The fields that flags and PNG gave a value. */
  readonly asked: ReadonlySet<string>;
  readonly result: JobResult;
  readonly engine: EngineHost;
  readonly paths: readonly string[];
}

/** All outputs lie in one folder. */
function summaryOf(paths: readonly string[], elapsedMs: number): string {
  const [path = ''] = paths;
  const place = isStandardOutput(path) ? 'standard output' : shortPlace(resolve(dirname(path)), process.cwd());
  return madeText({ images: paths.length, place, elapsedMs });
}

async function writeImages(context: CommandContext, { request, asked, result, engine, paths }: Drawn): Promise<void> {
  const { model } = engine;
  const warnings = [...requestWarnings(request, { model, asked }), ...result.warnings];
  for (const warning of warnings) context.logger.warning('about the image', { warning });
  for (const image of result.images) {
    const path = paths[image.imageIndex] as string;
    // The size as generated: some models cannot generate the one that was asked for.
    const { widthPx, heightPx, pixels: rgb } = image.image;
    const made = { seed: image.seed, widthPx, heightPx };
    const png = await encodePng({ rgb, widthPx, heightPx, parameters: imageParameters(request, model, made) });
    if (isStandardOutput(path)) {
      await writeToStream(process.stdout, png);
      context.terminal.line(`standard output  (seed ${image.seed})`);
      continue;
    }
    const isReplaced = await writeImage(path, png, { mayReplace: context.config.clobber });
    if (isReplaced) context.terminal.line(`replaced ${path}`);
    const { prompt } = request;
    // Named also while it is null, so that a script finds the key.
    const facts = { prompt, ...usedParameters({ ...request, ...made }, model), model_hash: model.modelHash };
    printResult(context, {
      json: { path: resolve(path), sizeBytes: png.length, replaced: isReplaced, ...facts, warnings },
      text: `${printable(path)}  (seed ${image.seed})`,
    });
  }
}

/** Names are other programs' own, so there may be any number of any length. */
const MAX_NAMED = 12;
const MAX_NAMED_LENGTH = 60;

function warnOfNotTaken({ logger }: CommandContext, { notTaken }: RequestWithSource): void {
  if (notTaken.length === 0) return;
  const named = notTaken.slice(0, MAX_NAMED).map((one) => excerpt(one, MAX_NAMED_LENGTH));
  const more = notTaken.length - named.length;
  logger.warning('the PNG has settings that text2img does not use', {
    parameters: `${named.join(', ')}${more === 0 ? '' : ` and ${more} more`}`,
  });
}

/**
 * The request as this model reads it. Web UIs write `Clip skip` for XL models too, but always take the layer before the last. So a
 * model with a second text encoder generates their image without it.
 */
function statedFor(
  { logger }: CommandContext,
  { request, hasForeignClipSkip }: RequestWithSource,
  model: ModelFacts,
): RequestWithSource['request'] {
  if (!hasForeignClipSkip || !model.fields.includes('prompt2')) return request;
  const { clipSkip, ...others } = request;
  logger.warning('the PNG’s "Clip skip" has no effect with this kind of model, as in web UIs', { clip_skip: clipSkip });
  return others;
}

/** The same request gives the same pixels only with the same weights. */
function warnOfOtherModel(
  { logger }: CommandContext,
  drawnBy: RequestWithSource['drawnBy'],
  { model }: EngineHost,
): void {
  if (drawnBy === undefined) return;
  const isOther =
    isComparable(drawnBy.modelHash) && model.modelHash !== null
      ? drawnBy.modelHash?.toLowerCase() !== model.modelHash
      : drawnBy.modelName !== undefined && drawnBy.modelName !== model.modelName;
  if (isOther)
    logger.warning('another model generated the PNG', {
      drawn_by: drawnBy.modelName ?? drawnBy.modelHash,
      model: model.modelName,
    });
}

/** Web UIs write the file's whole name. Without a name the image may come from any. */
function warnOfOtherVae(
  { logger }: CommandContext,
  drawnBy: RequestWithSource['drawnBy'],
  { model }: EngineHost,
): void {
  const { vaeName } = drawnBy ?? {};
  if (vaeName === undefined || singleFileName(vaeName) === singleFileName(model.vaeName ?? '')) return;
  logger.warning('another autoencoder generated the PNG', {
    drawn_by: vaeName,
    vae: model.vaeName ?? 'the model’s own',
  });
}

/** Ten digits, as today's tools write; older ones took eight of another sum. */
function isComparable(modelHash: string | undefined): boolean {
  return modelHash !== undefined && /^[0-9a-f]{10}$/i.test(modelHash);
}
