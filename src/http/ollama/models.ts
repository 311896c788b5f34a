/** The routes by which clients of Ollama find a server and fill their lists of models: `/api/tags`, `/api/show`, `/api/ps`, `/api/version`. */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { isRecord, own } from '../../lib/foreign-record.ts';
import { quote } from '../../lib/foreign-text.ts';
import type { ListedModel, ModelChoice, ModelDirectory } from '../front/model-directory.ts';

/** Clients compare it with the version that they need. It is Ollama's last one that generated images, whose API this is. */
const API_VERSION = '0.32.5';
/** Clients of Ollama add it to names. */
const LATEST = ':latest';

/** The server knows no files of a model: its workers have them. */
const DETAILS = {
  parent_model: '',
  format: 'safetensors',
  family: '',
  families: null,
  parameter_size: '',
  quantization_level: '',
} as const;

/** @throws `model_not_found` */
export function chosenModel(models: ModelDirectory, name: string | undefined): ModelChoice {
  try {
    return models.resolve(name);
  } catch (error) {
    if (name?.endsWith(LATEST) !== true) throw error;
    return models.resolve(name.slice(0, -LATEST.length));
  }
}

export function modelAnswers(models: ModelDirectory) {
  return {
    version: () => ({ version: API_VERSION }),
    /** Each name once, the default model first. */
    tags: () => {
      const named = models
        .list()
        .flatMap((model) => [model.id, ...model.aliases].map((name) => [name, model] as const));
      return { models: [...new Map(named)].map(([name, model]) => listed(name, model)) };
    },
    /** Workers load models by themselves, for the jobs that wait. */
    ps: () => ({ models: [] }),
    /** @throws `invalid_parameter`, `model_not_found` */
    show: (body: unknown) => {
      const name = askedName(body);
      const { id } = chosenModel(models, name);
      const model = models.list().find((one) => one.id === id);
      return {
        license: '',
        modelfile: '',
        parameters: '',
        template: '',
        details: DETAILS,
        model_info: {},
        capabilities: ['image'],
        modified_at: timeOf(model),
      };
    },
  };
}

function listed(name: string, model: ListedModel): object {
  return { name, model: name, modified_at: timeOf(model), size: 0, digest: '', details: DETAILS };
}

/** When this server began to list it. */
function timeOf(model: ListedModel | undefined): string {
  return new Date((model?.created ?? 0) * 1000).toISOString();
}

/** Older clients say `name`. */
function askedName(body: unknown): string {
  const fields = isRecord(body) ? body : {};
  const name = own(fields, 'model') ?? own(fields, 'name');
  if (typeof name === 'string' && name !== '') return name;
  throw new Text2ImgError(
    'invalid_parameter',
    `"model" is ${quote(name)}; a name as "GET /api/tags" lists them is needed.`,
  );
}
