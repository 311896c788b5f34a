/** Routes of Ollama that do nothing here, each with the reason. Source: server/routes.go of Ollama. */

interface Unsupported {
  readonly method: 'POST' | 'DELETE';
  readonly reason: string;
}

const NO_TEXT: Unsupported = {
  method: 'POST',
  reason: 'This server generates images, not text: POST /api/generate takes the prompt of one.',
};
const NO_MANAGEMENT: Unsupported = {
  method: 'POST',
  reason: 'Clients cannot change which models are served. GET /api/tags lists them.',
};

/** By path below `/api/`. */
export const UNSUPPORTED: Readonly<Record<string, Unsupported>> = {
  chat: NO_TEXT,
  embed: NO_TEXT,
  embeddings: NO_TEXT,
  pull: NO_MANAGEMENT,
  push: NO_MANAGEMENT,
  create: NO_MANAGEMENT,
  copy: NO_MANAGEMENT,
  delete: { ...NO_MANAGEMENT, method: 'DELETE' },
};
