/** Describes the routes that belong to no API. `/mcp` is not among the described ones: its protocol has its own way to list what it offers. */
import { PROBLEM_SCHEMA, PROBLEM_TYPE } from '../server/problem.ts';
import { type DoorDescription, reference, type RouteRecord } from './route-record.ts';

const JSON_TYPE = 'application/json';

const LIVEZ: RouteRecord = {
  method: 'get',
  path: '/livez',
  operationId: 'livez',
  summary: 'Say that the process answers',
  answers: { 200: { description: 'It does.', content: { [JSON_TYPE]: { type: 'object' } } } },
  errors: [],
  isPublic: true,
};

const READYZ: RouteRecord = {
  method: 'get',
  path: '/readyz',
  operationId: 'readyz',
  summary: 'Say whether requests should come here',
  answers: {
    200: { description: 'Yes.', content: { [JSON_TYPE]: reference('Readiness') } },
    503: { description: 'No, for the `reasons`.', content: { [JSON_TYPE]: reference('Readiness') } },
  },
  errors: [],
  isPublic: true,
};

const OPENAPI: RouteRecord = {
  method: 'get',
  path: '/openapi.json',
  operationId: 'openapi',
  summary: 'Show this description',
  answers: { 200: { description: 'An OpenAPI 3.1 document.', content: { [JSON_TYPE]: { type: 'object' } } } },
  errors: [],
  isPublic: true,
};

const METRICS: RouteRecord = {
  method: 'get',
  path: '/metrics',
  operationId: 'metrics',
  summary: 'Show the metrics, for Prometheus',
  answers: { 200: { description: 'The metrics.', content: { 'text/plain': { type: 'string' } } } },
  errors: [401, 403, 404],
};

export const SERVER_DESCRIPTION: DoorDescription = {
  title: 'Server',
  description: 'The server itself.',
  routes: [LIVEZ, READYZ, OPENAPI, METRICS],
  schemas: {
    Readiness: {
      type: 'object',
      properties: {
        status: { enum: ['ready', 'not ready'] },
        reasons: { type: 'array', items: { type: 'string' } },
        live_workers: { type: ['integer', 'null'], minimum: 0 },
      },
      required: ['status', 'reasons'],
    },
    Problem: PROBLEM_SCHEMA,
  },
  error: { contentType: PROBLEM_TYPE, schema: reference('Problem') },
};
