/**
 * Where a job's images go: what lies there is looked at before anything is generated, and asked again by the store when they are written. Of all images of a
 * document each gets the same kind of name.
 */
import { Text2ImgError } from '../errors/text2img-error.ts';
import { describeOwner, whoseObject } from '../storage/doc-key.ts';
import type { FoundImage, ImageStore } from '../storage/image-store.ts';
import type { ClaimedJob } from './claimed-job.ts';

export interface PlaceOptions {
  readonly store: ImageStore;
  /** Ends every look and every write. */
  readonly signal: AbortSignal;
}

export interface Survey {
  /** The URLs of all images of this run, when an attempt before this one stored them and crashed before it could complete the job. */
  readonly stored: readonly string[] | undefined;
  /** URLs of an earlier run's images that this one will not replace, because it has fewer. */
  readonly surplus: readonly string[];
}

/** Nobody wants more, and nobody is to wait for more looks. */
const MAX_SURPLUS = 100;

/**
 * Looks at the places of all images. Undefined: the document is no longer ours.
 * @throws `foreign_object`, `store_refused` before anything is generated for what could not be stored; what the store throws
 */
export async function surveyPlaces(
  job: ClaimedJob,
  numImages: number,
  options: PlaceOptions,
): Promise<Survey | undefined> {
  const { claim, names } = job;
  const { store, signal } = options;
  const indexes = Array.from({ length: numImages }, (_, index) => index);
  const found = await Promise.all(indexes.map((index) => store.find(names.keyOf(index), { signal })));
  const strange = found.find((image) => image !== undefined && whoseImage(image, claim.docKey) !== 'same');
  if (strange !== undefined) {
    if (!isNamesake(job, strange.metadata?.docKey))
      throw strange.metadata === undefined && strange.refusal !== undefined
        ? refused(strange.refusal)
        : foreign(strange);
    return (await names.takeHashed()) ? surveyPlaces(job, numImages, options) : undefined;
  }
  const isDone = found.map((image) => image?.metadata?.runId === claim.runId);
  // A document that was never generated has nothing beyond its images either: one look less for each of them.
  const surplus = found.some((image) => image !== undefined) ? await findSurplus(job, numImages, options) : [];
  if (isDone.every(Boolean)) return { stored: found.map((image) => image?.url ?? ''), surplus };
  const refusal = found.find((image, index) => isDone[index] !== true && image?.refusal !== undefined)?.refusal;
  if (refusal !== undefined) throw refused(refusal);
  return { stored: undefined, surplus };
}

async function findSurplus(job: ClaimedJob, numImages: number, { store, signal }: PlaceOptions): Promise<string[]> {
  const urls: string[] = [];
  for (let index = numImages; urls.length < MAX_SURPLUS; index++) {
    const found = await store.find(job.names.keyOf(index), { signal });
    if (found === undefined || whoseImage(found, job.claim.docKey) !== 'same') break;
    urls.push(found.url);
  }
  return urls;
}

export interface ImageToStore {
  readonly imageIndex: number;
  readonly seed: number;
  readonly png: Uint8Array;
}

/** Stores all images; gives their URLs, in order. Undefined: the document is no longer ours. @throws `foreign_object`; what the store throws */
export async function storeImages(
  job: ClaimedJob,
  images: readonly ImageToStore[],
  { store, signal, model }: PlaceOptions & { readonly model: string },
): Promise<readonly string[] | undefined> {
  const { claim, lease, names } = job;
  const urls: string[] = [];
  for (const { imageIndex, seed, png } of images) {
    if (!lease.isSafe && !(await lease.renew())) return undefined;
    const metadata = { runId: claim.runId, docKey: claim.docKey, seed, model };
    const { outcome, url, owner } = await store.put(
      { name: names.keyOf(imageIndex), png, metadata },
      { mayReplace: () => job.lease.renew(), signal },
    );
    if (outcome === 'superseded') return undefined;
    if (outcome === 'foreign') {
      if (!isNamesake(job, owner)) throw foreign({ url, owner });
      // Those that are stored already are stored again: a document's images have one name.
      return (await names.takeHashed()) ? storeImages(job, images, { store, signal, model }) : undefined;
    }
    urls.push(url);
  }
  return urls;
}

/** Whether another document of the same collection has the plain name, and this one can still go by its hashed one. */
function isNamesake({ claim, names }: ClaimedJob, owner: string | undefined): boolean {
  return !names.isHashed && owner !== undefined && whoseObject(owner, claim.docKey) === 'namesake';
}

function whoseImage({ metadata }: FoundImage, docKey: string): ReturnType<typeof whoseObject> {
  return metadata === undefined ? 'foreign' : whoseObject(metadata.docKey, docKey);
}

function foreign(image: {
  readonly url: string;
  readonly owner?: string | undefined;
  readonly metadata?: FoundImage['metadata'];
}): Text2ImgError {
  const owner = describeOwner(image.owner ?? image.metadata?.docKey) ?? 'an unknown owner';
  return new Text2ImgError(
    'foreign_object',
    `the image at ${image.url} belongs to ${owner}; it was not changed. If you renamed the collection and it is this job’s image, run "text2img jobs retry --adopt ID".`,
  );
}

function refused(refusal: string): Text2ImgError {
  return new Text2ImgError('store_refused', `the image of an earlier run cannot be replaced: ${refusal}.`);
}
