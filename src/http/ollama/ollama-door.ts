/**
 * Ollama's own API, as far as it made images: `POST /api/generate`. Source: Ollama 0.32.5, the last version that made some; langchain4j and oterm
 * call it.
 */
import type { Door } from '../server/door.ts';
import { generateHandler } from './generate.ts';
import { describeOllama } from './ollama-routes.ts';

export const OLLAMA_DOOR: Door = {
  name: 'ollama',
  prefixes: ['/api/generate'],
  bodies: 'any',
  describe: describeOllama,
  register(app, front, tools) {
    app.post('/api/generate', generateHandler(front, tools));
  },
  errorBody: ({ error }) => ({ contentType: 'application/json', body: { error: error.message } }),
};
