/** The jobs API, `/api/v1/prompts`: prompts as documents, from their creation to their images. Its routes are described in `jobs-routes.ts`. */
import type { FastifyInstance } from 'fastify';
import { registerSignedImages } from '../images/signed-image-route.ts';
import type { Front } from '../front/front.ts';
import type { Door, DoorTools } from '../server/door.ts';
import { registerCreate } from './create-route.ts';
import { registerEvents } from './events-route.ts';
import { describeJobs } from './jobs-routes.ts';
import { PROBLEM_TYPE, problemOf } from '../server/problem.ts';
import { registerPromptRoutes } from './prompt-routes.ts';

export const JOBS_DOOR: Door = {
  name: 'jobs',
  prefixes: ['/api/v1/', '/openapi.json'],
  bodies: 'json',
  register(app: FastifyInstance, front: Front, tools: DoorTools): void {
    registerCreate(app, front, tools);
    registerPromptRoutes(app, front, tools);
    registerEvents(app, front, tools);
    registerSignedImages(app, { front, signer: tools.signer });
  },
  describe: describeJobs,
  errorBody: (answer) => ({ contentType: PROBLEM_TYPE, body: problemOf(answer) }),
};
