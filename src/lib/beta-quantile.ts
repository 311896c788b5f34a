/**
 * The quantile of the symmetric beta distribution: the x below which a share of it lies. numpy's users have it as `scipy.stats.beta.ppf`.
 * Source: Abramowitz and Stegun 26.5.4, the power series of the incomplete beta function.
 */

const MAX_TERMS = 10_000;
const MAX_HALVINGS = 200;

/** @param share 0 to 1 @param shape both parameters of the distribution, above 0 */
export function betaQuantile(share: number, shape: number): number {
  if (share <= 0) return 0;
  if (share >= 1) return 1;
  // The series converges fast up to the middle; the other half is its mirror image.
  if (share > 0.5) return 1 - betaQuantile(1 - share, shape);
  if (share === 0.5) return 0.5;
  // The integral of the whole is twice that of the half, so that no gamma function is needed.
  const wanted = share * 2 * lowerIntegral(0.5, shape);
  let [low, high] = [0, 0.5];
  for (let halving = 0; halving < MAX_HALVINGS; halving++) {
    const middle = (low + high) / 2;
    if (middle === low || middle === high) break;
    if (lowerIntegral(middle, shape) < wanted) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** ∫ t^(a−1) (1−t)^(a−1) dt from 0 to x, for x up to 0.5. */
function lowerIntegral(x: number, shape: number): number {
  // x^a · Σ (1−a)(2−a)…(n−a) / n! · x^n / (a+n)
  let factor = 1;
  let sum = 1 / shape;
  for (let term = 1; term < MAX_TERMS; term++) {
    factor *= ((term - shape) / term) * x;
    const added = factor / (shape + term);
    sum += added;
    if (Math.abs(added) < Math.abs(sum) * Number.EPSILON) break;
  }
  return x ** shape * sum;
}
