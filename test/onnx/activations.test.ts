/** How much lives at once in a graph, counted by hand. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ComputedNode, peakActivationBytes } from '../../src/onnx/activations.ts';

/** The last parameter: the result's name, its bytes, and the operator's own. */
function node(
  opType: string,
  inputs: readonly string[],
  [name, bytes, workspaceBytes = 0]: readonly [string, number, number?],
): ComputedNode {
  return { opType, inputs, results: [{ name, bytes }], workspaceBytes };
}

const peakOf = (
  nodes: readonly ComputedNode[],
  outputs: readonly string[],
  constants: readonly string[] = [],
): number => peakActivationBytes(nodes, { outputs, constants: new Set(constants) });

test('a chain needs two neighbours at once', () => {
  const chain = [node('Conv', ['x'], ['a', 10]), node('Conv', ['a'], ['b', 30]), node('Conv', ['b'], ['c', 5])];
  assert.equal(peakOf(chain, ['c']), 40);
});

test('a value lives until its last reader, and an output to the end', () => {
  const skip = [node('Conv', ['x'], ['a', 10]), node('Conv', ['a'], ['b', 20]), node('Conv', ['b'], ['c', 20])];
  assert.equal(peakOf([...skip, node('Add', ['c', 'a'], ['d', 20])], ['d']), 10 + 20 + 20);
  assert.equal(peakOf(skip, ['a', 'c']), 10 + 20 + 20);
});

test('a result that nobody reads is free after its node', () => {
  const split: ComputedNode = {
    opType: 'Split',
    inputs: ['x'],
    results: [
      { name: 'a', bytes: 10 },
      { name: 'unread', bytes: 10 },
    ],
  };
  assert.equal(peakOf([split, node('Conv', ['a'], ['b', 15])], ['b']), 25);
});

test('another shape of a value is the same value, also through several views', () => {
  const views = [
    node('Conv', ['x'], ['a', 10]),
    node('Reshape', ['a', 'shape'], ['b', 10]),
    node('Reshape', ['b', 'shape'], ['c', 10]),
    node('Conv', ['c'], ['d', 10]),
    node('Identity', ['d'], ['out', 10]),
  ];
  assert.equal(peakOf(views, ['out'], ['shape']), 20);
});

test('what is made of weights alone is a weight', () => {
  const nodes = [
    node('Cast', ['w'], ['wide', 1000]),
    node('Mul', ['wide', 's'], ['scaled', 1000]),
    node('Conv', ['x', 'scaled'], ['a', 7]),
  ];
  assert.equal(peakOf(nodes, ['a'], ['w', 's']), 7);
});

test('an operator’s own memory counts while it runs', () => {
  const nodes = [
    node('Conv', ['x'], ['a', 10]),
    node('MultiHeadAttention', ['a'], ['b', 10, 100]),
    node('Conv', ['b'], ['c', 10]),
  ];
  assert.equal(peakOf(nodes, ['c']), 120);
});
