/**
 * Routes of the web UI that do nothing here. Each is refused with 501 and a sentence: a client shows it, while a 404 looks like a wrong URL. Source of
 * the list: modules/api/api.py of AUTOMATIC1111's web UI.
 */
import type { FastifyInstance } from 'fastify';
import { Text2ImgError } from '../../errors/text2img-error.ts';

const NO_INPUT = 'Images cannot be given as input yet. POST /sdapi/v1/txt2img generates from text.';
const NO_UPSCALING =
  'Images cannot be enlarged or mended here. Ask POST /sdapi/v1/txt2img for a larger width and height.';
const NO_TRAINING = 'Nothing is trained here.';
const NO_CONTROL = 'Clients cannot stop or restart this server. Its operator can.';

/** By path below `/sdapi/v1/`. All are `POST`. */
export const UNSUPPORTED: Readonly<Record<string, string>> = {
  img2img: NO_INPUT,
  'extra-single-image': NO_UPSCALING,
  'extra-batch-images': NO_UPSCALING,
  interrogate: 'Images cannot be described here: no model for that is part of this server.',
  'create/embedding': NO_TRAINING,
  'create/hypernetwork': NO_TRAINING,
  'train/embedding': NO_TRAINING,
  'train/hypernetwork': NO_TRAINING,
  preprocess: NO_TRAINING,
  'server-kill': NO_CONTROL,
  'server-restart': NO_CONTROL,
  'server-stop': NO_CONTROL,
};

/** @param root the path above them */
export function registerUnsupported(app: FastifyInstance, root: string): void {
  for (const [path, reason] of Object.entries(UNSUPPORTED)) {
    const refuse = async (): Promise<never> => {
      throw new Text2ImgError('not_implemented', `POST ${root}/${path} is not supported. ${reason}`);
    };
    // Before the body is read: it may hold images of many megabytes.
    app.post(`${root}/${path}`, { onRequest: refuse }, refuse);
  }
}
