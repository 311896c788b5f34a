/** The contract of a noise source: where the random numbers of one image come from. Its seed decides all of them. */

export interface NoiseSource {
  /** The next `count` standard normals, float32, in the order of the flattened tensor. They depend on the numbers taken before. */
  next(count: number): Float32Array;
  /**
   * `count` increments of a Brownian path from one sigma to another, divided by the root of their distance. The numbers do not depend on earlier
   * calls. There for a scheduler that states `noiseInterval`, and only within it.
   */
  between?(from: number, to: number, count: number): Float32Array;
}
