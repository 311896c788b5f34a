/** `GET /images/<id>/<k>.png?exp=…&sig=…`: an image for the holder of the link. No key is asked for; the signature is the right to read. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { isRecord, own } from '../../lib/foreign-record.ts';
import type { Front } from '../front/front.ts';
import { imageAt, sendImage } from './send-image.ts';
import { imageIndexOf, type ImagePlace, type UrlSigner } from './sign-url.ts';

const SIGNED_IMAGE_PATH = '/images/:id/:file';

interface RouteOptions {
  readonly front: Pick<Front, 'images'>;
  /** Undefined: this server has no secret, so no link can be good. */
  readonly signer: UrlSigner | undefined;
}

export function registerSignedImages(app: FastifyInstance, { front, signer }: RouteOptions): void {
  app.get(SIGNED_IMAGE_PATH, { config: { access: 'open' } }, async (request, reply) => {
    const place = placeOf(request);
    const secondsLeft = checkLink(request, { place, signer });
    return sendSigned(request, reply, { front, place, secondsLeft });
  });
}

interface Asked {
  readonly place: ImagePlace;
  readonly signer: UrlSigner | undefined;
}

/** @throws `invalid_link`. Before anything is looked up, so that nobody learns which prompts there are */
function checkLink({ query }: FastifyRequest, { place, signer }: Asked): number {
  const { exp, sig } = isRecord(query) ? { exp: own(query, 'exp'), sig: own(query, 'sig') } : {};
  const state = signer?.check({ ...place, exp, sig }) ?? { kind: 'invalid' };
  if (state.kind === 'valid') return state.secondsLeft;
  throw new Text2ImgError(
    'invalid_link',
    state.kind === 'expired'
      ? 'This link to an image has expired. Ask for the prompt again: its answer has new links.'
      : 'The signature of this link to an image is wrong, or the link was changed.',
  );
}

/** @throws `not_found` */
function placeOf({ params }: FastifyRequest): ImagePlace {
  const { id, file } = params as { readonly id: string; readonly file: string };
  const index = imageIndexOf(file);
  if (index === undefined)
    throw new Text2ImgError('not_found', 'There is no such image: the path of one ends in /0.png, /1.png and so on.');
  return { id, index };
}

async function sendSigned(
  request: FastifyRequest,
  reply: FastifyReply,
  {
    front,
    place,
    secondsLeft,
  }: { readonly front: Pick<Front, 'images'>; readonly place: ImagePlace; readonly secondsLeft: number },
): Promise<unknown> {
  // The link stands for the key of its maker, which is not known here: it may read this prompt, whosever it is.
  const caller = {
    key: undefined,
    requestId: request.id,
    retryCount: 0,
    gone: new AbortController().signal,
    door: 'jobs',
    host: '',
  } as const;
  const image = imageAt(await front.images(caller, place.id), place);
  return sendImage(request, reply, { place, image, cacheControl: `private, max-age=${secondsLeft}` });
}
