/**
 * OpenAI's images API: `POST /v1/images/generations` and `GET /v1/models`, with and without `/v1`, and SGLang's route for an image. Edits and
 * variations are refused by name.
 * Source: the SDKs of OpenAI, npm `openai` 7.57.0 and PyPI `openai` 3.57.0.
 */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import type { Door, ErrorAnswer, ErrorBody } from '../server/door.ts';
import { openAiError } from './errors.ts';
import { imagesHandler } from './generate-images.ts';
import { contentHandler } from './image-content.ts';
import { modelHandlers } from './models.ts';
import { describeOpenai } from './openai-routes.ts';

/** Clients put `/v1` into their base URL, or leave it out. */
const PREFIXES = ['/v1', ''] as const;
/** They need an image as input. */
const REFUSED = ['edits', 'variations'] as const;

export const OPENAI_DOOR: Door = {
  name: 'openai',
  prefixes: ['/v1/', '/images/generations', '/images/edits', '/images/variations', '/models'],
  bodies: 'any',
  describe: describeOpenai,
  register(app, front, tools) {
    const models = modelHandlers(front.models);
    app.get('/v1/images/:id/content', contentHandler(front, tools, errorBody));
    for (const prefix of PREFIXES) {
      app.post(`${prefix}/images/generations`, imagesHandler(front, tools));
      app.get(`${prefix}/models`, models.list);
      // Names may hold slashes, encoded or not.
      app.get(`${prefix}/models/*`, models.retrieve);
      // Before the body is read: it may be a multipart form of many megabytes.
      for (const route of REFUSED)
        app.post(`${prefix}/images/${route}`, { onRequest: async () => refuse(route) }, async () => refuse(route));
    }
  },
  errorBody,
};

function errorBody({ error, status }: ErrorAnswer): ErrorBody {
  return { contentType: 'application/json', body: { error: openAiError(error, status) } };
}

function refuse(route: (typeof REFUSED)[number]): never {
  throw new Text2ImgError(
    'not_implemented',
    `POST /v1/images/${route} is not implemented yet. Use POST /v1/images/generations, which needs no image.`,
  );
}
