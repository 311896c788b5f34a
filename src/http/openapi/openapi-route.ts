/** `GET /openapi.json`: the OpenAPI document of this server's doors, with this server's limits. No key is asked for: it holds nothing that docs/ does not. */
import type { FastifyInstance } from 'fastify';
import type { PromptLimits } from '../../job/limits.ts';
import { VERSION } from '../../version.ts';
import type { Door } from '../server/door.ts';
import { describeDoors } from './describe-doors.ts';
import { openapiDocument } from './openapi-document.ts';

const OPENAPI_PATH = '/openapi.json';

interface RouteOptions {
  readonly doors: readonly Door[];
  readonly limits: PromptLimits;
  readonly publicUrl: string | undefined;
  readonly asksForKeys: boolean;
}

export function registerOpenapi(app: FastifyInstance, { doors, limits, publicUrl, asksForKeys }: RouteOptions): void {
  const text = JSON.stringify(
    openapiDocument({ doors: describeDoors(doors, limits), version: VERSION, serverUrl: publicUrl, asksForKeys }),
  );
  app.get(OPENAPI_PATH, { config: { access: 'open' } }, async (_request, reply) =>
    reply.header('content-type', 'application/json; charset=utf-8').header('cache-control', 'no-cache').send(text),
  );
}
