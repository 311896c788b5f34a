/** Writes the OpenAPI 3.1 document of all doors from their route records (https://spec.openapis.org/oas/v3.1.1.html). */
import type { AnswerRecord, DoorDescription, ParameterRecord, RouteRecord, Schema } from './route-record.ts';

export interface DocumentOptions {
  readonly doors: readonly DoorDescription[];
  readonly version: string;
  /** The server asks for a key; absent: it depends on the server. */
  readonly asksForKeys?: boolean;
  /** The server's own address; absent: the one that the document came from. */
  readonly serverUrl?: string | undefined;
}

/** The reasons of the statuses that errors have here (RFC 9110), and when the server gives them. */
export const ERROR_STATUSES: Readonly<Record<number, string>> = {
  400: 'The request is not as it must be; the sentence names the value and what is allowed.',
  401: 'A key is needed, or this one is not known.',
  403: 'The page’s origin is not allowed, a link is wrong or has expired, or the store does not let the images go.',
  404: 'There is nothing of this name, or it belongs to another key.',
  405: 'The method is not one of this path; `allow` lists those that are.',
  409: 'The state of the job does not allow this.',
  410: 'The prompt was deleted.',
  413: 'The body is larger than the server takes.',
  415: 'The body is not declared as `application/json`.',
  416: 'No byte of the image lies in this range.',
  422: 'The `Idempotency-Key` was used with another body.',
  429: 'A limit of this key, or of the queue, is reached; `retry-after` says when to try again.',
  500: 'A bug of text2img.',
  501: 'This server cannot do it.',
  503: 'The server cannot do it now; try again.',
  504: 'The job was not done in time; it goes on.',
};

/** Every bearer of a key, by its name in the document. */
const SECURITY_SCHEMES = {
  bearer: { type: 'http', scheme: 'bearer', description: 'A key of `text2img keys create`.' },
  basic: { type: 'http', scheme: 'basic', description: 'Any user, with a key as the password.' },
  xApiKey: { type: 'apiKey', in: 'header', name: 'x-api-key' },
  apiKey: { type: 'apiKey', in: 'header', name: 'api-key' },
} as const;

/** @throws nothing; two routes of one path and method, or two schemas of one name, are a bug that a test finds */
export function openapiDocument({
  doors,
  version,
  serverUrl,
  asksForKeys,
}: DocumentOptions): Readonly<Record<string, unknown>> {
  return {
    openapi: '3.1.1',
    info: {
      title: 'text2img',
      version,
      license: { name: 'MIT', identifier: 'MIT' },
      description:
        'Text-to-image over a durable queue. Every call that makes images adds a prompt document; `text2img serve` and its workers do the rest.',
    },
    ...(serverUrl === undefined ? {} : { servers: [{ url: serverUrl }] }),
    tags: doors.map(({ title, description }) => ({ name: title, description })),
    security: securityOf(asksForKeys),
    paths: pathsOf(doors),
    components: {
      schemas: Object.assign({}, ...doors.map(({ schemas = {} }) => schemas)) as unknown,
      securitySchemes: SECURITY_SCHEMES,
    },
  };
}

/** Any of them, and none where that is not known. */
function securityOf(asksForKeys: boolean | undefined): readonly Readonly<Record<string, unknown>>[] {
  if (asksForKeys === false) return [];
  const any = Object.keys(SECURITY_SCHEMES).map((name) => ({ [name]: [] }));
  return asksForKeys === true ? any : [...any, {}];
}

function pathsOf(doors: readonly DoorDescription[]): Readonly<Record<string, unknown>> {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const door of doors) {
    for (const route of door.routes) {
      const item = (paths[route.path] ??= {});
      item[route.method] = operationOf(route, door);
    }
  }
  return paths;
}

function operationOf(route: RouteRecord, door: DoorDescription): unknown {
  const { operationId, summary, description, parameters = [], body, isPublic } = route;
  return {
    operationId,
    summary,
    ...(description === undefined ? {} : { description }),
    tags: [door.title],
    ...(isPublic === true ? { security: [] } : {}),
    ...(parameters.length === 0 ? {} : { parameters: parameters.map(parameterOf) }),
    ...(body === undefined ? {} : { requestBody: bodyOf(body) }),
    responses: responsesOf(route, door),
  };
}

function parameterOf({ name, in: place, description, schema, isRequired }: ParameterRecord): unknown {
  const required = place === 'path' || isRequired === true;
  return { name, in: place, description, schema, ...(required ? { required } : {}) };
}

function bodyOf({ description, content, example, isOptional }: NonNullable<RouteRecord['body']>): unknown {
  const media = mediaOf(content, example);
  return { description, ...(isOptional === true ? {} : { required: true }), content: media };
}

function responsesOf({ answers, errors }: RouteRecord, { error }: DoorDescription): unknown {
  const good = Object.entries(answers).map(([status, answer]) => [status, responseOf(answer)] as const);
  const content = { [error.contentType]: error.schema };
  const bad = errors.map((status): [string, unknown] => [
    String(status),
    responseOf({ description: ERROR_STATUSES[status] ?? 'An error.', content }),
  ]);
  const rest = responseOf({ description: 'Any other error.', content });
  return Object.fromEntries([...good, ...bad, ['default', rest]]);
}

function responseOf({ description, headers, content }: AnswerRecord): unknown {
  return {
    description,
    ...(headers === undefined ? {} : { headers }),
    ...(content === undefined ? {} : { content: mediaOf(content) }),
  };
}

function mediaOf(content: Readonly<Record<string, Schema>>, example?: unknown): unknown {
  const media = Object.entries(content).map(([type, schema]) => [
    type,
    { schema, ...(example === undefined ? {} : { example }) },
  ]);
  return Object.fromEntries(media) as unknown;
}
