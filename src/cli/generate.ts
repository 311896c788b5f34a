/**
 * `text2img generate`: draws one prompt and writes its pictures, without a queue.
 */
import { resolve } from 'node:path';
import type { EngineHost, EngineJobResult } from '../engine/engine-host.ts';
import { encodePng } from '../image/encode-png.ts';
import type { ResolvedGenerationRequest } from '../job/generation-request.ts';
import { resolveRequest } from '../job/resolve-request.ts';
import { type CommandContext, type ExitCode, printResult } from './command-context.ts';
import { outputPaths, type RequestWithSource, requestOf } from './generation-options.ts';
import { limitsOf } from './limits.ts';
import { openEngine } from './open-engine.ts';
import { checkWritable, replaceFile } from './output-file.ts';

export async function generate(context: CommandContext): Promise<ExitCode> {
  const { config } = context;
  const wanted = await requestOf(config);
  const paths = outputPaths({
    output: config.output,
    seed: wanted.request.seed,
    numImages: wanted.request.numImages ?? 1,
  });
  // Before the model is loaded: nobody should wait for a picture that cannot be kept.
  for (const path of paths) await checkWritable(path);

  await using engine = await openEngine(context);
  warnOfOtherModel(context, wanted.drawnBy, engine);
  const { seed } = wanted.request;
  const request = resolveRequest(wanted.request, { defaults: {}, limits: limitsOf(config), model: engine.model, seed });
  const result = await draw(context, engine, request);
  await writePictures(context, { request, result, engine, paths });
  return 0;
}

async function draw(
  { terminal, logger }: CommandContext,
  engine: EngineHost,
  request: ResolvedGenerationRequest,
): Promise<EngineJobResult> {
  const { prompt, negativePrompt, ...parameters } = request;
  logger.info('drawing', {
    prompt_length: prompt.length,
    negative_prompt_length: negativePrompt.length,
    ...parameters,
  });
  const label = request.numImages === 1 ? 'picture' : `${request.numImages} pictures`;
  const jobId = 'generate';
  try {
    const results = engine.generate([{ jobId, request }], {
      onProgress: (_, progress) => terminal.progress(jobId, { label, ...progress }),
    });
    // The engine answers for every job that it was given.
    return await (results.get(jobId) as Promise<EngineJobResult>);
  } finally {
    terminal.endProgress(jobId);
  }
}

interface Drawn {
  readonly request: ResolvedGenerationRequest;
  readonly result: EngineJobResult;
  readonly engine: EngineHost;
  readonly paths: readonly string[];
}

async function writePictures(context: CommandContext, { request, result, engine, paths }: Drawn): Promise<void> {
  for (const warning of result.warnings) context.logger.warning('about the picture', { warning });
  const { modelName, modelHash } = engine.model;
  for (const image of result.images) {
    const path = paths[image.imageIndex] as string;
    // The size as drawn: some models cannot draw the one that was asked for.
    const { seed, widthPx, heightPx } = image;
    const parameters = { ...request, seed, widthPx, heightPx, modelName, modelHash };
    await replaceFile(path, await encodePng({ ...image, parameters }));
    const { prompt: _, ...facts } = parameters;
    printResult(context, {
      json: { path: resolve(path), ...facts, warnings: result.warnings },
      text: `${path}  (seed ${image.seed})`,
    });
  }
}

/** The same request gives the same pixels only with the same weights. */
function warnOfOtherModel(
  { logger }: CommandContext,
  drawnBy: RequestWithSource['drawnBy'],
  { model }: EngineHost,
): void {
  if (drawnBy === undefined) return;
  const isOther =
    drawnBy.modelHash !== undefined && model.modelHash !== null
      ? drawnBy.modelHash !== model.modelHash
      : drawnBy.modelName !== undefined && drawnBy.modelName !== model.modelName;
  if (isOther)
    logger.warning('the PNG was drawn by another model', {
      drawn_by: drawnBy.modelName ?? drawnBy.modelHash,
      model: model.modelName,
    });
}
