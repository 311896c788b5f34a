/** The quantile of the beta distribution, compared with scipy 1.17.1: python -c "from scipy.stats import beta; print(beta.ppf(SHARE, SHAPE, SHAPE))" */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { betaQuantile } from '../../src/lib/beta-quantile.ts';

const EXPECTED: readonly (readonly [share: number, shape: number, quantile: number])[] = [
  [0.0, 0.6, 0.0],
  [1e-12, 0.6, 1.8558824624914097e-20],
  [0.001, 0.6, 1.855873851745199e-5],
  [0.1, 0.6, 0.03958440558878085],
  [0.3333333333333333, 0.6, 0.2754132907776234],
  [0.5, 0.6, 0.5000000000000001],
  [0.7, 0.6, 0.7659829961247643],
  [0.999, 0.6, 0.9999814412614826],
  [1.0, 0.6, 1.0],
  [0.0, 0.5, 0.0],
  [1e-12, 0.5, 2.4674011002723395e-24],
  [0.001, 0.5, 2.4673990709169446e-6],
  [0.1, 0.5, 0.024471741852423214],
  [0.3333333333333333, 0.5, 0.24999999999999994],
  [0.5, 0.5, 0.4999999999999999],
  [0.7, 0.5, 0.7938926261462365],
  [0.999, 0.5, 0.999997532600929],
  [1.0, 0.5, 1.0],
  [0.0, 1.0, 0.0],
  [1e-12, 1.0, 1e-12],
  [0.001, 1.0, 0.001],
  [0.1, 1.0, 0.1],
  [0.3333333333333333, 1.0, 0.3333333333333333],
  [0.5, 1.0, 0.5],
  [0.7, 1.0, 0.7],
  [0.999, 1.0, 0.999],
  [1.0, 1.0, 1.0],
  [0.0, 2.5, 0.0],
  [1e-12, 2.5, 8.053820863308662e-6],
  [0.001, 2.5, 0.03251778873396982],
  [0.1, 2.5, 0.22456860241035653],
  [0.3333333333333333, 2.5, 0.3998269939326435],
  [0.5, 2.5, 0.5],
  [0.7, 2.5, 0.6213520577345824],
  [0.999, 2.5, 0.9674822112660302],
  [1.0, 2.5, 1.0],
];

test('the quantile is scipy’s to 12 digits, at both ends and in the middle', () => {
  for (const [share, shape, quantile] of EXPECTED) {
    const actual = betaQuantile(share, shape);
    assert.ok(
      Math.abs(actual - quantile) <= 1e-12 * Math.max(quantile, 1e-9),
      `${share}, ${shape}: ${actual}, not ${quantile}`,
    );
  }
});
