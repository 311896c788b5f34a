/** The arithmetic of a network that is opened. */
import type { OpenNetworkOptions } from '../family.ts';

/** Empty: the device's. */
export type Precision = Pick<OpenNetworkOptions, 'computeType' | 'form'>;

/**
 * Of a second attempt, after a result that was not finite. The operators of the fused form may be the cause as well: their norm takes a variance as the
 * difference of two large numbers.
 */
export const FULL_PRECISION: Precision = { computeType: 'float32', form: 'portable' };
