/** The log's line about a loaded model, which people and the GPU's benchmark read. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { logReady } from '../../src/app/log-ready.ts';
import type { ModelFacts } from '../../src/job/model-facts.ts';
import { type LogFields, silentLogger } from '../../src/observability/logger.ts';
import { modelFacts } from './a-model.ts';

const FACTS = modelFacts({
  device: 'cuda:0',
  deviceReason: 'asked for',
  dtype: 'float16',
  runtime: 'onnxruntime-c',
  runtimeReason: 'tensors stay on the GPU',
});

function linesOf(facts: ModelFacts): Readonly<Record<'info' | 'warning', readonly LogFields[]>> {
  const lines = { info: [] as LogFields[], warning: [] as LogFields[] };
  const keep =
    (kind: 'info' | 'warning') =>
    (_: string, fields: LogFields = {}): void =>
      void lines[kind].push(fields);
  const logger = { ...silentLogger, info: keep('info'), warning: keep('warning') };
  logReady(facts, { plan: { threads: 1, cpus: undefined }, logger, isOneOfSeveral: false });
  return lines;
}

test('the form of the networks stands in the line where the facts have one: on a GPU', () => {
  for (const form of ['fused', 'portable'] as const) assert.equal(linesOf({ ...FACTS, form }).info[0]?.['form'], form);
  const [line] = linesOf({ ...FACTS, device: 'cpu' }).info;
  assert.ok(line !== undefined && !Object.hasOwn(line, 'form'));
});

test('each warning of the model is a line', () => {
  const { warning } = linesOf({ ...FACTS, warnings: ['a', 'b'] });
  assert.deepEqual(
    warning.map((fields) => fields['warning']),
    ['a', 'b'],
  );
});
