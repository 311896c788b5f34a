/** Samplers of other tools that are known and not implemented, each with the reason. */
import { plainName } from './plain-name.ts';

const FLOW = 'it belongs to flow-matching models (SD 3, FLUX), and this model is none';
const NOT_IN_DIFFUSERS = 'diffusers has no such method';

export const REFUSED_SAMPLERS: readonly (readonly [names: readonly string[], reason: string])[] = [
  [
    ['DPM++ 2S a', 'dpmpp_2s_a', 'dpmpp_2s_ancestral', 'dpmpp_2s_ancestral_cfg_pp'],
    'it is an ancestral method, and diffusers’ DPMSolverSinglestepScheduler is not the same algorithm',
  ],
  [['DPM fast', 'dpm_fast'], NOT_IN_DIFFUSERS],
  [['DPM adaptive', 'dpm_adaptive'], NOT_IN_DIFFUSERS],
  [['Restart'], NOT_IN_DIFFUSERS],
  [['IPNDM', 'ipndm_v', 'IPNDMScheduler'], 'it was made for an audio model, which has a noise schedule of its own'],
  [
    [
      'FlowMatchEulerDiscreteScheduler',
      'FlowMatchHeunDiscreteScheduler',
      'FlowMatchLCMScheduler',
      'FlowMapEulerDiscreteScheduler',
      'flow_match_euler',
    ],
    FLOW,
  ],
];

const REASONS: ReadonlyMap<string, string> = new Map(
  REFUSED_SAMPLERS.flatMap(([names, reason]) => names.map((name) => [plainName(name), reason] as const)),
);

/** @returns why this sampler is not implemented; undefined for a name that is none of those */
export function reasonAgainst(name: string): string | undefined {
  return REASONS.get(plainName(name));
}
