/** `GET /v1/models`: the models, and each alias as a model of its own, because n8n lists names that contain `gpt-image` only. */
import type { FastifyRequest } from 'fastify';
import type { ModelDirectory } from '../front/model-directory.ts';

interface OpenAiModel {
  readonly id: string;
  readonly object: 'model';
  /** Seconds since 1970. */
  readonly created: number;
  readonly owned_by: 'text2img';
}

export function modelHandlers(models: ModelDirectory) {
  return {
    list: async () => ({ object: 'list', data: listedModels(models) }),
    /** @throws `model_not_found` */
    retrieve: async (request: FastifyRequest): Promise<OpenAiModel> => {
      const { '*': name } = request.params as { readonly '*': string };
      const { id } = models.resolve(name);
      const created = models.list().find((model) => model.id === id)?.created ?? 0;
      return modelOf(name, created);
    },
  };
}

/** Each name once. */
function listedModels(models: ModelDirectory): readonly OpenAiModel[] {
  const named = models
    .list()
    .flatMap(({ id, aliases, created }) => [id, ...aliases].map((name) => [name, created] as const));
  return [...new Map(named)].map(([name, created]) => modelOf(name, created));
}

function modelOf(id: string, created: number): OpenAiModel {
  return { id, object: 'model', created, owned_by: 'text2img' };
}
