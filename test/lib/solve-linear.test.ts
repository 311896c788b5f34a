/** Linear equations of a few unknowns. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { solveLinear } from '../../src/lib/solve-linear.ts';

test('a system whose first pivot is zero is solved', () => {
  assert.deepEqual(
    solveLinear(
      [
        [0, 2],
        [3, 0],
      ],
      [4, 9],
    ),
    [3, 2],
  );
});

test('the unknowns put back into the equations give the right side', () => {
  const number = fc.integer({ min: -9, max: 9 });
  const size = 4;
  const row = fc.array(number, { minLength: size, maxLength: size });
  fc.assert(
    fc.property(fc.array(row, { minLength: size, maxLength: size }), row, (matrix, right) => {
      // A large diagonal, so that there is one solution.
      const rows = matrix.map((values, index) =>
        values.map((value, column) => (column === index ? 50 + value : value)),
      );
      const unknowns = solveLinear(rows, right);
      for (const [index, values] of rows.entries()) {
        const sum = values.reduce((all, value, column) => all + value * (unknowns[column] ?? Number.NaN), 0);
        assert.ok(Math.abs(sum - (right[index] ?? 0)) < 1e-9);
      }
    }),
  );
});
