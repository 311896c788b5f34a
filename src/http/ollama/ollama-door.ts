/**
 * Ollama's own API, as far as it made images: `POST /api/generate`, and the routes by which clients list models. The others are refused by name.
 * Source: Ollama 0.32.5, the last version that made some; langchain4j and oterm call it.
 */
import type { FastifyInstance } from 'fastify';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import type { Door } from '../server/door.ts';
import { generateHandler } from './generate.ts';
import { modelAnswers } from './models.ts';
import { describeOllama } from './ollama-routes.ts';
import { UNSUPPORTED } from './unsupported.ts';

const LISTS = ['version', 'tags', 'ps'] as const;

export const OLLAMA_DOOR: Door = {
  name: 'ollama',
  prefixes: ['generate', 'show', ...LISTS, ...Object.keys(UNSUPPORTED)].map((path) => `/api/${path}/`),
  bodies: 'any',
  describe: describeOllama,
  register(app, front, tools) {
    const models = modelAnswers(front.models);
    app.post('/api/generate', generateHandler(front, tools));
    app.post('/api/show', async (request) => models.show(request.body));
    for (const path of LISTS) app.get(`/api/${path}`, async () => models[path]());
    for (const [path, { method, reason }] of Object.entries(UNSUPPORTED))
      registerRefused(app, path, { method, reason });
  },
  errorBody: ({ error }) => ({ contentType: 'application/json', body: { error: error.message } }),
};

/** Before the body is read: it may hold images or a model. */
function registerRefused(app: FastifyInstance, path: string, { method, reason }: (typeof UNSUPPORTED)[string]): void {
  const refuse = async (): Promise<never> => {
    throw new Text2ImgError('not_implemented', `${method} /api/${path} is not supported. ${reason}`);
  };
  app.route({ method, url: `/api/${path}`, onRequest: refuse, handler: refuse });
}
