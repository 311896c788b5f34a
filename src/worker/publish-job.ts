/** From pixels to a completed document: encode → store → complete. After a failure, `failures.ts` decides what follows. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { JobResult } from '../engine/engine-job.ts';
import { encodePng } from '../image/encode-png.ts';
import { imageParameters } from '../image/image-parameters.ts';
import { askedFields, usedParameters } from '../job/prompt-document.ts';
import { requestWarnings } from '../job/request-warnings.ts';
import type { ClaimedJob } from './claimed-job.ts';
import { type PlaceOptions, storeImages } from './image-places.ts';
import type { GeneratedImages } from './kept-images.ts';
import type { PreparedJob, WorkerContext } from './worker-context.ts';

/** In a sentence. */
const MAX_NAMED = 5;

/** Where the file name, the seed and the pixels become a PNG; off the main thread. */
export async function encodeAndPublish(
  prepared: PreparedJob,
  result: JobResult,
  context: WorkerContext,
): Promise<void> {
  const { job } = prepared;
  job.times.addAll(result.durationsMs);
  // The next batch is sent to the engine first: filtering a PNG's rows holds this thread for milliseconds.
  await nextTurn();
  let images: GeneratedImages['images'];
  try {
    images = await job.times.measure('encodeImage', () => encodeImages(prepared, result));
  } catch (error) {
    return void (await job.end(error));
  }
  for (const warning of result.warnings)
    context.options.logger.warning('an image was generated with a warning', { prompt_id: job.id, warning });
  await publish(prepared, { images, warnings: result.warnings }, context);
}

async function encodeImages(
  { request, model }: PreparedJob,
  { images }: JobResult,
): Promise<GeneratedImages['images']> {
  const encoded: GeneratedImages['images'][number][] = [];
  for (const { imageIndex, seed, image } of images) {
    const { widthPx, heightPx, pixels: rgb } = image;
    const parameters = imageParameters(request, model, { seed, widthPx, heightPx });
    encoded.push({ imageIndex, seed, png: await encodePng({ rgb, widthPx, heightPx, parameters }) });
  }
  return encoded;
}

/** Stores every image, then completes the document: in this order, so that a completed document's images are there. */
export async function publish(
  prepared: PreparedJob,
  generated: GeneratedImages,
  context: WorkerContext,
): Promise<void> {
  const { job, request, model } = prepared;
  const { failures, trouble } = context;
  const toKeep = { request, images: generated };
  // The store refuses just now: its probes find out when it is well, not each image that is done.
  if (trouble.source === 'store') return failures.keepAndRelease(job, toKeep);
  let urls: readonly string[] | undefined;
  try {
    const places = { ...placesOf(job, context), model: model.modelName };
    urls = await job.times.measure('store', () => storeImages(job, generated.images, places));
  } catch (error) {
    return failures.ofStore(job, error, toKeep);
  }
  if (urls === undefined) return job.lose();
  await complete(prepared, { urls, warnings: generated.warnings }, context);
}

/** The end of the grace period and the loss of the document end every request to the store. */
export function placesOf(job: ClaimedJob, { options, stop }: WorkerContext): PlaceOptions {
  return { store: options.store, signal: AbortSignal.any([stop.publishingSignal, job.lostSignal]) };
}

interface Stored {
  readonly urls: readonly string[];
  readonly warnings: readonly string[];
}

/** Making public URLs is the store's part, too. */
export async function complete(
  { job, model, request, surplus }: Omit<PreparedJob, 'kept'>,
  { urls, warnings }: Stored,
  { failures, options }: WorkerContext,
): Promise<void> {
  let webhook: Awaited<ReturnType<ClaimedJob['webhookFor']>>;
  try {
    webhook = await job.webhookFor(urls);
  } catch (error) {
    return failures.ofStore(job, error);
  }
  const left = surplusWarning(surplus);
  if (left !== undefined) options.logger.warning('images of an earlier run stay', { prompt_id: job.id, warning: left });
  const { document, fieldNames } = job.claim;
  const asked = askedFields(document, options.defaults);
  const ofRequest = requestWarnings(request, { model, asked, fieldNames });
  for (const warning of ofRequest)
    options.logger.warning('perhaps something else was meant', { prompt_id: job.id, warning });
  const allWarnings = [...ofRequest, ...warnings, ...(left === undefined ? [] : [left])];
  const record = {
    imageUrls: urls,
    seed: request.seed,
    parameters: usedParameters(request, model),
    warnings: allWarnings,
  };
  await job.complete(record, webhook);
}

/** Receivers may have their URLs, so they are not removed. */
function surplusWarning(urls: readonly string[]): string | undefined {
  if (urls.length === 0) return undefined;
  const more = urls.length > MAX_NAMED ? ` and ${urls.length - MAX_NAMED} more` : '';
  return `this run has fewer images than an earlier one; the extra ones stay: ${urls.slice(0, MAX_NAMED).join(', ')}${more}`;
}
