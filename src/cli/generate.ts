/** `text2img generate`: one prompt from the shell, no queue. */
import { resolve } from 'node:path';
import type { EngineImage, EngineJobResult } from '../engine/engine-host.ts';
import { encodePng } from '../image/encode-png.ts';
import type { ResolvedGenerationRequest } from '../job/generation-request.ts';
import { resolveRequest } from '../job/resolve-request.ts';
import { type CommandContext, type ExitCode, printResult } from './command-context.ts';
import { outputPaths, requestOf } from './generation-options.ts';
import { limitsOf } from './limits.ts';
import { checkWritable, replaceFile } from './output-file.ts';
import { startEngine } from './start-engine.ts';
import { stopOnSignals } from './stop-signal.ts';

const JOB_ID = 'generate';

export async function generate(context: CommandContext): Promise<ExitCode> {
  const { config, logger, terminal } = context;
  const { request, drawnBy } = await requestOf(config);
  const paths = outputPaths({ output: config.output, seed: request.seed, numImages: request.numImages ?? 1 });
  // Before the model is loaded: a minute's work is not thrown away for a typing error.
  for (const path of paths) await checkWritable(path);
  await using engine = await startEngine(context);
  const { model } = engine;
  const resolved = resolveRequest(request, { defaults: {}, model, limits: limitsOf(config), seed: request.seed });
  if (drawnBy?.modelName !== undefined && drawnBy.modelName !== model.modelName) {
    logger.warning('the picture of --from was drawn by another model', {
      drawn_by: drawnBy.modelName,
      model: model.modelName,
    });
  }
  using _ = stopOnSignals(() => engine.cancel(JOB_ID));
  const jobs = engine.generate([{ jobId: JOB_ID, request: resolved }], {
    onProgress: (_jobId, { stage, step, steps }) =>
      terminal.progress(JOB_ID, { label: paths[0] ?? '', step, steps, stage }),
  });
  const { images, warnings } = await (jobs.get(JOB_ID) as Promise<EngineJobResult>).finally(() =>
    terminal.endProgress(JOB_ID),
  );
  for (const warning of warnings) logger.warning(warning);
  for (const image of images)
    await writeImage(context, { image, request: resolved, path: paths[image.imageIndex] as string, model });
  return 0;
}

interface WrittenImage {
  readonly image: EngineImage;
  readonly request: ResolvedGenerationRequest;
  readonly path: string;
  readonly model: { readonly modelName: string; readonly modelHash: string | null };
}

async function writeImage(context: CommandContext, { image, request, path, model }: WrittenImage): Promise<void> {
  const { seed, widthPx, heightPx } = image;
  const parameters = { ...request, seed, modelName: model.modelName, modelHash: model.modelHash };
  await replaceFile(path, await encodePng({ ...image, parameters }));
  printResult(context, {
    json: {
      path: resolve(path),
      seed,
      width: widthPx,
      height: heightPx,
      scheduler: request.scheduler,
      model: model.modelName,
    },
    text: path,
  });
  context.logger.info('picture written', { path, seed });
}
