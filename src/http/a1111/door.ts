/**
 * The API of AUTOMATIC1111's web UI, `/sdapi/v1`, as far as clients need it to generate images: Open WebUI, SillyTavern, LibreChat, Dify, webuiapi.
 * docs/http.md lists the routes. Source of the shapes: modules/api/ of the web UI, and what these clients read.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Estimate, Front } from '../front/front.ts';
import type { Door, DoorTools } from '../server/door.ts';
import { noticeHeaders } from '../openai/notices.ts';
import { readBody } from './body.ts';
import { describeDoor } from './describe.ts';
import { DefaultModels } from './default-models.ts';
import { errorBody } from './errors.ts';
import { LISTS, NOTHING_TO_DO } from './lists.ts';
import { settingsWarnings } from './no-effect.ts';
import { pngInfo } from './png-info.ts';
import { currentOf, progressAnswer } from './progress.ts';
import { RunningRequests, type ShownRequest } from './running-requests.ts';
import { sendRootPage } from './root-page.ts';
import { askedModel, FIXED_SETTINGS, MODEL_SETTING } from './settings.ts';
import { SharedRequests, unlessGone } from './shared-requests.ts';
import { txt2img } from './txt2img.ts';
import { registerUnsupported } from './unsupported.ts';

const ROOT = '/sdapi/v1';
/** Of a body with an image of 2048×2048 pixels in base64. */
const PNG_LIMIT = 24 * 1024 * 1024;

export const A1111_DOOR: Door = {
  name: 'a1111',
  prefixes: ['/sdapi/'],
  bodies: 'any',
  register(app, front, tools) {
    const running = new RunningRequests({ nowMs: () => performance.now() });
    const requests = new SharedRequests({ front, running, logger: tools.logger });
    const defaults = new DefaultModels(front.settings, front.models);
    const parts = { app, front, tools, requests, defaults };
    registerRoot(parts);
    app.post(`${ROOT}/txt2img`, (request, reply) =>
      txt2img(parts, { caller: tools.caller(request), json: request.body, reply }),
    );
    registerOptions(parts);
    registerProgress(parts);
    registerLists(parts);
    registerUnsupported(app, ROOT);
    app.post(`${ROOT}/png-info`, { bodyLimit: PNG_LIMIT }, async (request, reply) =>
      json(reply, pngInfo(request.body)),
    );
  },
  describe: describeDoor,
  errorBody,
};

interface Parts {
  readonly app: FastifyInstance;
  readonly front: Front;
  readonly tools: DoorTools;
  readonly requests: SharedRequests;
  readonly defaults: DefaultModels;
}

/** SillyTavern asks there whether anybody answers, and clients of the app `Draw Things` read the model there. People get a page. */
function registerRoot({ app, tools, defaults }: Parts): void {
  app.get('/', { config: { access: 'open' } }, async (request, reply) => {
    if (request.method === 'HEAD') return reply.send();
    if (request.headers.accept?.includes('text/html') === true) return sendRootPage(reply);
    const { id } = await defaults.of(tools.caller(request));
    return json(reply, { model: id, upscaler: 'None' });
  });
}

function registerOptions({ app, tools, defaults }: Parts): void {
  app.get(`${ROOT}/options`, async (request, reply) => {
    const { id } = await defaults.of(tools.caller(request));
    return json(reply, { ...FIXED_SETTINGS, [MODEL_SETTING]: id });
  });
  app.post(`${ROOT}/options`, async (request, reply) => {
    const settings = readBody(request.body ?? {});
    const model = askedModel(settings);
    const warnings = model === undefined ? [] : await defaults.choose(tools.caller(request), model);
    const unread = settingsWarnings(settings, new Set([MODEL_SETTING]), FIXED_SETTINGS);
    return json(reply.headers(noticeHeaders({ ignored: [], warnings: [...warnings, ...unread] })), null);
  });
}

function registerProgress({ app, front, tools, requests }: Parts): void {
  app.get(`${ROOT}/progress`, async (request, reply) => {
    const caller = tools.caller(request);
    const now = new Date();
    const current = currentOf(await requests.of(caller));
    if (current === undefined) return json(reply, progressAnswer([], { preview: undefined, waitMs: undefined, now }));
    const { waitMs } = (await estimateOf(front, current)) ?? {};
    const id = skipsImage(request) ? undefined : current.current;
    const preview = id === undefined ? undefined : await front.preview(caller, id).catch(unlessGone);
    // The request may have ended meanwhile.
    return json(reply, progressAnswer(await requests.of(caller), { preview: preview?.png, waitMs, now }));
  });
  for (const verb of ['interrupt', 'skip'] as const)
    app.post(`${ROOT}/${verb}`, async (request, reply) => {
      await requests.stop(tools.caller(request), verb);
      return json(reply, {});
    });
}

function registerLists({ app, front }: Parts): void {
  app.get(`${ROOT}/sd-models`, async (_, reply) => json(reply, front.models.list().map(listedModel)));
  for (const [path, answer] of Object.entries(LISTS))
    app.get(`${ROOT}/${path}`, async (_, reply) => json(reply, answer));
  for (const path of NOTHING_TO_DO) app.post(`${ROOT}/${path}`, async (_, reply) => json(reply, null));
}

/** Clients show `title` and send it, or `model_name`, as the model. */
function listedModel({ id }: { readonly id: string }): object {
  return { title: id, model_name: id, hash: null, sha256: null, filename: id, config: null };
}

function skipsImage(request: FastifyRequest): boolean {
  const { skip_current_image: skip } = request.query as Readonly<Record<string, unknown>>;
  return skip === 'true' || skip === '1';
}

/** Of a job that no worker has begun; its steps say the rest. */
async function estimateOf(front: Front, request: ShownRequest | undefined): Promise<Estimate | undefined> {
  const id = request?.elapsedMs === undefined ? request?.current : undefined;
  return id === undefined ? undefined : await front.estimateMs(id);
}

/** As text: fastify sends no body for null, and clients parse one. */
function json(reply: FastifyReply, value: unknown): FastifyReply {
  return reply.header('content-type', 'application/json; charset=utf-8').send(JSON.stringify(value));
}
