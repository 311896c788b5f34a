/**
 * The weights of SA-Solver's outputs: the integrals of e^(rate · λ) times their Lagrange polynomials, over one step (arXiv 2309.05019, section 4).
 * Source: diffusers schedulers/scheduling_sasolver.py, get_coefficients_fn and the two updates.
 */

interface Interval {
  readonly from: number;
  readonly to: number;
}

export interface SaStep {
  /** In λ. */
  readonly interval: Interval;
  /** Where the outputs were made, newest first. */
  readonly lambdas: readonly number[];
  /** −1 where the outputs are noise: there is no correction for two of them. */
  readonly rate: number;
  readonly isCorrector: boolean;
}

/** @returns one for each of `lambdas` */
export function saCoefficients({ interval, lambdas, rate, isCorrector }: SaStep): number[] {
  const moments = lambdas.map((_, power) => moment(interval, rate, power));
  const plain = lambdas.map((own, place) => {
    const others = lambdas.filter((_, other) => other !== place);
    return lagrange(own, others).reduce((sum, factor, power) => sum + factor * (moments[power] as number), 0);
  });
  if (lambdas.length !== 2 || rate < 0) return plain;
  const [first, second] = plain as [number, number];
  const change = secondOrderChange({ interval, lambdas, rate, isCorrector });
  return [first + change, second - change];
}

/** The polynomial that is 1 at `own` and 0 at the others: its factors, of the lowest power first. */
function lagrange(own: number, others: readonly number[]): number[] {
  return others.reduce(
    (factors, root) => {
      const shifted = [0, ...factors];
      return shifted.map((factor, power) => (factor - root * (factors[power] ?? 0)) / (own - root));
    },
    [1],
  );
}

/** ∫ λ^power · e^(rate · λ) dλ */
function moment({ from, to }: Interval, rate: number, power: number): number {
  const ends = (to ** power * Math.exp(rate * to) - from ** power * Math.exp(rate * from)) / rate;
  return power === 0 ? ends : ends - (power / rate) * moment({ from, to }, rate, power - 1);
}

/** The reference makes two outputs better by a term of the third order. */
function secondOrderChange({ interval: { from, to }, lambdas, rate, isCorrector }: SaStep): number {
  const h = to - from;
  if (h === 0) return 0;
  const rest = (h * rate - 1 + Math.exp(-rate * h)) / rate ** 2;
  const [newest, older] = lambdas as readonly [number, number];
  const ratio = isCorrector ? h / 2 - rest / h : (h ** 2 / 2 - rest) / (newest - older);
  return Math.exp(rate * to) * ratio;
}
