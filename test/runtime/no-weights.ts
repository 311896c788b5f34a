/** The weights of a graph that has none. */
import assert from 'node:assert/strict';

export const NO_WEIGHTS = {
  component: 'none',
  names: () => [],
  has: () => false,
  place: () => assert.fail('no weights are needed'),
  smallTensor: () => undefined,
};
