/** The OpenAPI document: whole, without contradictions, and true to the tables that it comes from. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DOORS } from '../../../src/http/doors.ts';
import { describeDoors } from '../../../src/http/openapi/describe-doors.ts';
import { openapiDocument } from '../../../src/http/openapi/openapi-document.ts';
import { promptSchema } from '../../../src/http/openapi/prompt-schema.ts';
import { DEFAULT_LIMITS } from '../../../src/job/limits.ts';
import { PROMPT_FIELDS } from '../../../src/job/prompt-document.ts';
import { isRecord } from '../../../src/lib/foreign-record.ts';

const descriptions = describeDoors(DOORS, DEFAULT_LIMITS);
const document = openapiDocument({ doors: descriptions, version: '1.2.3' });

interface Operation {
  readonly operationId: string;
  readonly parameters?: readonly { readonly name: string; readonly in: string }[];
  readonly responses: Readonly<Record<string, unknown>>;
}

const paths = document['paths'] as Readonly<Record<string, Readonly<Record<string, Operation>>>>;
const operations = Object.entries(paths).flatMap(([path, item]) =>
  Object.entries(item).map(([method, operation]) => ({ path, method, operation })),
);

function referencesIn(value: unknown): readonly string[] {
  if (Array.isArray(value)) return value.flatMap(referencesIn);
  if (!isRecord(value)) return [];
  return Object.entries(value).flatMap(([name, one]) => (name === '$ref' ? [String(one)] : referencesIn(one)));
}

test('every operation has a name of its own, and no route is described twice', () => {
  const routes = descriptions.flatMap(({ routes }) => routes);
  assert.equal(operations.length, routes.length);
  assert.equal(new Set(operations.map(({ operation }) => operation.operationId)).size, operations.length);
});

test('the parameters of a path are described, and no others', () => {
  for (const { path, operation } of operations) {
    const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
    const described = (operation.parameters ?? []).filter((one) => one.in === 'path').map(({ name }) => name);
    assert.deepEqual(described, inPath, path);
  }
});

test('every reference leads to a schema, and every schema is referred to', () => {
  const { schemas } = document['components'] as { readonly schemas: Readonly<Record<string, unknown>> };
  const named = Object.keys(schemas).map((name) => `#/components/schemas/${name}`);
  assert.deepEqual(new Set(referencesIn(document)), new Set(named));
  const given = descriptions.flatMap(({ schemas: own = {} }) => Object.keys(own));
  assert.equal(new Set(given).size, given.length, 'two doors use one name');
});

test('a prompt has every field of the request table with its own range, and refuses what the service writes', () => {
  const schema = promptSchema({ ...DEFAULT_LIMITS, maxSteps: 30 }) as {
    readonly properties: Readonly<Record<string, unknown>>;
    readonly required: readonly string[];
  };
  assert.deepEqual(Object.keys(schema.properties), [...PROMPT_FIELDS, '_id', 'job', 'status']);
  assert.deepEqual(schema.required, ['text']);
  const steps = schema.properties['num_inference_steps'] as Readonly<Record<string, unknown>>;
  assert.deepEqual([steps['type'], steps['minimum'], steps['maximum']], [['integer', 'null'], 1, 30]);
  assert.equal(schema.properties['_id'], false);
});

test('every route may end in any error of its door', () => {
  for (const { path, operation } of operations)
    assert.ok(Object.hasOwn(operation.responses, 'default'), `${path} ${operation.operationId}`);
});
