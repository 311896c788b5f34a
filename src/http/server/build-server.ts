/** Builds the HTTP server over a front and the doors. It listens on nothing yet: tests call it through `inject`, `app/run-server.ts` opens its port. */
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { quote } from '../../lib/foreign-text.ts';
import { omitUndefined } from '../../lib/omit-undefined.ts';
import type { Logger } from '../../observability/logger.ts';
import type { Caller } from '../front/caller.ts';
import type { Front } from '../front/front.ts';
import type { KeyRing } from '../keys/key-ring.ts';
import { addMetricsRoute, answeredRequest, type ServerMetrics } from '../metrics/metrics-route.ts';
import { presentedSecret } from '../keys/presented-secret.ts';
import { checkOrigin, isAllowedOrigin, type OriginRules } from './allowed-origins.ts';
import { logAccess } from './access-log.ts';
import { answerBrokenRequest } from './broken-request.ts';
import type { Door, DoorTools, ErrorAnswer, ErrorBody } from './door.ts';
import type { Lifecycle } from './lifecycle.ts';
import { ourError } from './our-error.ts';
import { registerOpenapi } from '../openapi/openapi-route.ts';
import type { UrlSigner } from '../images/sign-url.ts';
import { PROBLEM_TYPE, problemOf } from './problem.ts';
import { readJson } from './read-json.ts';
import { addReadiness, type ReadinessChecks } from './readiness.ts';
import { factsOf, noteRequest, requestIdOf } from './request-facts.ts';
import { RouteTable } from './route-table.ts';
import { routedUrl } from './routed-url.ts';
import { cutOffWhenStalled, STALLED_MS } from './stalled-readers.ts';
import { answerTo } from './status-of.ts';

export interface ServerOptions {
  readonly front: Front;
  readonly doors: readonly Door[];
  readonly logger: Logger;
  /** Undefined: no keys are asked for. */
  readonly keys: KeyRing | undefined;
  readonly origins: OriginRules;
  readonly lifecycle: Lifecycle;
  readonly readiness: ReadinessChecks;
  /** Of links to images that need no key; undefined: there is no secret to sign with. */
  readonly signer: UrlSigner | undefined;
  /** Counts the requests, and is shown at `/metrics`; undefined: there is no such page. */
  readonly metrics?: ServerMetrics | undefined;
  /** A client that takes nothing of its answer for so long is cut off. Default: a minute. */
  readonly stalledMs?: number;
  /** For `usage`: CLIP's tokens, without its marks for start and end. */
  readonly countTokens: (text: string) => Promise<number>;
}

/** Of a body; a route may have its own. Sixteen prompts of the largest size are 1 MiB. */
const BODY_LIMIT = 8 * 1024 * 1024;
/** Proxies keep theirs for 60 s or less; the one that closes first must not be us. */
const KEEP_ALIVE_MS = 75_000;
const HEADERS_TIMEOUT_MS = 20_000;
/** For receiving a whole request. */
const REQUEST_TIMEOUT_MS = 120_000;
const CHECK_CONNECTIONS_MS = 2000;
/** An `_id` of a user's own may be long. */
const MAX_PARAM_LENGTH = 2048;
const EXPOSED =
  'x-request-id, retry-after, x-should-retry, location, etag, text2img-id, text2img-model, text2img-warnings, text2img-ignored';

export function buildServer(options: ServerOptions): FastifyInstance {
  const { doors, front, lifecycle, logger, metrics, readiness } = options;
  const routes = new RouteTable(doors);
  const app = fastify({
    logger: false,
    genReqId: requestIdOf,
    rewriteUrl: ({ url }) => routedUrl(url ?? '/'),
    bodyLimit: BODY_LIMIT,
    keepAliveTimeout: KEEP_ALIVE_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    http: { headersTimeout: HEADERS_TIMEOUT_MS, connectionsCheckingInterval: CHECK_CONNECTIONS_MS },
    // Ours has the shape of the door.
    return503OnClosing: false,
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH },
    frameworkErrors: (error, request, reply) => answerError(error, { request, reply, options, routes }),
    clientErrorHandler: answerBrokenRequest,
  });
  routes.watch(app);
  app.removeAllContentTypeParsers();
  app.addHook('onRequest', async (request, reply) => {
    const facts = noteRequest(request.raw, reply.raw, () => reply.getHeader('x-should-retry') === 'true');
    cutOffWhenStalled(reply.raw, options.stalledMs ?? STALLED_MS);
    reply.header('x-request-id', request.id);
    reply.raw.once('close', () => {
      logAccess(logger, { request, reply, facts });
      metrics?.ofRequest(answeredRequest({ request, reply, facts }));
    });
    allowPages(request, reply, options.origins);
    if (request.method === 'OPTIONS') return;
    if (lifecycle.closing.aborted) {
      reply.header('connection', 'close');
      throw new Text2ImgError('shutting_down', 'The server is shutting down; send the request again.');
    }
    const { origin, host } = request.headers;
    checkOrigin({ method: request.method, origin, host }, options.origins);
    const isOpen = request.routeOptions.config.access === 'open';
    await findKey(request, options).catch((error: unknown) => {
      if (!isOpen) throw error;
    });
    // Before fastify looks at a body, which it refuses for methods that it does not know.
    if (request.is404) answerNotFound(request, reply, routes);
    const door = routes.doorOf(request.routeOptions.url, pathOf(request));
    if (door?.bodies === 'any') readAsJson(request);
  });
  app.setErrorHandler((error, request, reply) => answerError(error, { request, reply, options, routes }));
  app.setNotFoundHandler((request, reply) => answerNotFound(request, reply, routes));
  app.options('*', (request, reply) => answerOptions(request, reply, routes));
  addReadiness(app, readiness, lifecycle);
  if (metrics !== undefined) addMetricsRoute(app, metrics);
  registerOpenapi(app, {
    doors,
    limits: front.limits,
    publicUrl: options.origins.publicUrl,
    asksForKeys: options.keys !== undefined,
  });
  for (const door of doors) {
    void app.register(async (scope) => {
      routes.watch(scope, door);
      scope.addContentTypeParser('application/json', { parseAs: 'buffer' }, async (_request: unknown, body: Buffer) =>
        readJson(body),
      );
      door.register(scope, front, toolsOf(door, options));
    });
  }
  return app;
}

function toolsOf(door: Door, { logger, origins, keys, signer, countTokens }: ServerOptions): DoorTools {
  return {
    countTokens,
    logger,
    signer,
    publicUrl: origins.publicUrl,
    caller: (request) => callerOf(request, { door, hasKeys: keys !== undefined, publicUrl: origins.publicUrl }),
    signUrl: (caller, id, index) => {
      if (signer !== undefined) return `${caller.host}${signer.sign({ id, index })}`;
      throw new Text2ImgError('not_implemented', 'This server cannot sign URLs; ask for b64_json.');
    },
  };
}

interface CallerOptions {
  readonly door: Door;
  readonly hasKeys: boolean;
  readonly publicUrl: string | undefined;
}

function callerOf(request: FastifyRequest, { door, hasKeys, publicUrl }: CallerOptions): Caller {
  const facts = factsOf(request.raw);
  if (facts === undefined || (hasKeys && facts.key === undefined)) throw unauthorized(undefined);
  const idempotencyKey = request.headers['idempotency-key'];
  const retries = Number(request.headers['x-stainless-retry-count']);
  return {
    key: facts.key,
    requestId: request.id,
    ...omitUndefined({ idempotencyKey: typeof idempotencyKey === 'string' ? idempotencyKey : undefined }),
    retryCount: Number.isSafeInteger(retries) && retries > 0 ? retries : 0,
    gone: facts.gone,
    answered: (listener) => facts.answer.tell(listener),
    door: door.name,
    host: publicUrl ?? `${request.protocol}://${request.host}`,
  };
}

/** @throws `unauthorized` */
async function findKey({ headers, raw }: FastifyRequest, { keys }: ServerOptions): Promise<void> {
  const facts = factsOf(raw);
  if (keys === undefined || facts === undefined) return;
  const secret = presentedSecret(headers);
  const key = secret === undefined ? undefined : await keys.find(secret);
  if (key === undefined) throw unauthorized(secret);
  facts.key = key;
}

function unauthorized(secret: string | undefined): Text2ImgError {
  return new Text2ImgError(
    'unauthorized',
    secret === undefined
      ? 'An API key is needed. Send it in the header "authorization", as a bearer token.'
      : 'The API key is unknown or was revoked.',
  );
}

/** Clients send JSON as a form, as text, or without a type. */
function readAsJson({ raw }: FastifyRequest): void {
  const type = raw.headers['content-type'];
  if (type === undefined || !/^\s*multipart\//i.test(type)) raw.headers['content-type'] = 'application/json';
}

function allowPages({ headers }: FastifyRequest, reply: FastifyReply, origins: OriginRules): void {
  const { origin } = headers;
  if (origins.allowed.size === 0) return;
  reply.header('vary', 'origin');
  if (origin === undefined || !isAllowedOrigin(origin, origins)) return;
  reply.header('access-control-allow-origin', origin).header('access-control-expose-headers', EXPOSED);
}

/** Before any key is asked for: a browser's preflight has none, and some clients try whether a server is there this way. */
function answerOptions(request: FastifyRequest, reply: FastifyReply, routes: RouteTable): FastifyReply {
  const path = pathOf(request);
  const methods = routes.methodsOf(path);
  if (methods.length === 0 && path !== '/*') throw noSuchPage(request);
  const allow = methods.join(', ');
  if (reply.hasHeader('access-control-allow-origin'))
    reply
      .header('access-control-allow-methods', allow)
      .header('access-control-allow-headers', request.headers['access-control-request-headers'] ?? '*')
      .header('access-control-max-age', '86400');
  return reply.code(204).header('allow', allow).send();
}

function answerNotFound(request: FastifyRequest, reply: FastifyReply, routes: RouteTable): never {
  const methods = routes.methodsOf(pathOf(request));
  if (methods.length === 0) throw noSuchPage(request);
  reply.header('allow', methods.join(', '));
  throw new Text2ImgError(
    'method_not_allowed',
    `${request.method} is not possible here; allowed are ${methods.join(', ')}.`,
  );
}

function noSuchPage(request: FastifyRequest): Text2ImgError {
  return new Text2ImgError('not_found', `There is nothing under ${request.method} ${quote(pathOf(request))}.`);
}

interface Failed {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly options: ServerOptions;
  readonly routes: RouteTable;
}

function answerError(raw: unknown, { request, reply, options, routes }: Failed): void {
  const error = ourError(raw);
  const path = pathOf(request);
  if (error.code === 'internal') options.logger.error('a request failed', { request_id: request.id, error });
  // A bug's own sentence may hold anything.
  const told = error.code === 'internal' ? internal(request.id) : error;
  const { status, headers } = answerTo(error);
  const door = routes.doorOf(request.routeOptions?.url, path);
  const answer = { error: told, status, requestId: request.id };
  const { contentType, body, status: own = status } = door === undefined ? plainBody(answer) : door.errorBody(answer);
  reply.header('x-request-id', request.id).headers(headers);
  // A connection that is closed under an upload is reset, and the client never reads the answer. So the rest is read and thrown away.
  if (error.code === 'body_too_large') reply.removeHeader('connection');
  if (status === 401) reply.header('www-authenticate', path.startsWith('/sdapi') ? 'Basic realm="text2img"' : 'Bearer');
  void reply
    .code(own)
    .header('content-type', contentType)
    .send(typeof body === 'string' ? body : JSON.stringify(body));
}

function internal(requestId: string): Text2ImgError {
  return new Text2ImgError('internal', `The server met a bug. Its log has the details under request ${requestId}.`);
}

/** Where no door is concerned. */
function plainBody(answer: ErrorAnswer): ErrorBody {
  return { contentType: PROBLEM_TYPE, body: problemOf(answer) };
}

function pathOf({ url }: Pick<FastifyRequest, 'url'>): string {
  const mark = url.indexOf('?');
  return mark === -1 ? url : url.slice(0, mark);
}
