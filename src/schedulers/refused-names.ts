/**
 * Samplers and schedules of other tools that are known and not implemented, each with the reason.
 * Source of the names: ComfyUI comfy/samplers.py (KSAMPLER_NAMES, SCHEDULER_HANDLERS), AUTOMATIC1111 modules/sd_samplers_kdiffusion.py,
 * sd_samplers_timesteps.py and sd_schedulers.py, their branch Forge, ComfyUI's extension RES4LYF, and diffusers schedulers/.
 */
import { plainName } from './plain-name.ts';

const FLOW = 'it belongs to flow-matching models (SD 3, FLUX), and this model is none';
const NOT_IN_DIFFUSERS = 'diffusers has no such method';
const CFG_PP = `it computes the guidance by CFG++, and ${NOT_IN_DIFFUSERS}`;
const OTHER_KIND = 'it belongs to another kind of model';

export const REFUSED_SAMPLERS: readonly (readonly [names: readonly string[], reason: string])[] = [
  [
    ['DPM++ 2S a', 'dpmpp_2s_a', 'dpmpp_2s_ancestral'],
    'it is an ancestral method, and diffusers’ DPMSolverSinglestepScheduler is not the same algorithm',
  ],
  [['DPM fast', 'dpm_fast'], NOT_IN_DIFFUSERS],
  [['DPM adaptive', 'dpm_adaptive'], NOT_IN_DIFFUSERS],
  [['Restart'], NOT_IN_DIFFUSERS],
  [['HeunPP2', 'heunpp2', 'exp_heun_2_x0', 'exp_heun_2_x0_sde'], NOT_IN_DIFFUSERS],
  [['res_multistep', 'res_multistep_ancestral'], NOT_IN_DIFFUSERS],
  [['gradient_estimation', 'er_sde', 'seeds_2', 'seeds_3', 'ipndm_v', 'sa_solver_pece'], NOT_IN_DIFFUSERS],
  [['Euler Dy', 'Euler SMEA Dy', 'Euler Negative', 'Euler Dy Negative', 'Kohaku_LoNyu_Yog'], NOT_IN_DIFFUSERS],
  [
    ['deis_2m', 'deis_3m', 'deis_2m_ode', 'deis_3m_ode', 'res_2m', 'res_3m', 'res_2s', 'res_3s', 'res_5s', 'res_6s'],
    'it belongs to RES4LYF, an extension of ComfyUI with methods of its own',
  ],
  [
    [
      'DDIM CFG++',
      'euler_cfg_pp',
      'Euler CFG++',
      'euler_ancestral_cfg_pp',
      'Euler a CFG++',
      'dpmpp_2m_cfg_pp',
      'DPM++ 2M CFG++',
      'dpmpp_2s_ancestral_cfg_pp',
      'DPM++ 2S a CFG++',
      'res_multistep_cfg_pp',
      'res_multistep_ancestral_cfg_pp',
      'gradient_estimation_cfg_pp',
      'cfgpp_ud10_ab',
    ],
    CFG_PP,
  ],
  [['IPNDM', 'IPNDMScheduler'], 'it was made for an audio model, which has a noise schedule of its own'],
  [['CosineDPMSolverMultistepScheduler'], 'it was made for an audio model, which has a noise schedule of its own'],
  [['DDIMParallelScheduler'], 'DDIMScheduler computes the same, one step after the other'],
  [['DDPMParallelScheduler'], 'DDPMScheduler computes the same, one step after the other'],
  [['DDIMInverseScheduler', 'DPMSolverMultistepInverseScheduler'], 'it turns images back into noise'],
  [['RePaintScheduler'], 'it is for inpainting'],
  [
    [
      'AmusedScheduler',
      'CMStochasticIterativeScheduler',
      'CogVideoXDDIMScheduler',
      'CogVideoXDPMScheduler',
      'ConsistencyDecoderScheduler',
      'DDPMWuerstchenScheduler',
      'KarrasVeScheduler',
      'ScoreSdeVeScheduler',
      'ScoreSdeVpScheduler',
      'SCMScheduler',
      'UnCLIPScheduler',
      'VQDiffusionScheduler',
    ],
    OTHER_KIND,
  ],
  [
    [
      'FlowMatchEulerDiscreteScheduler',
      'FlowMatchHeunDiscreteScheduler',
      'FlowMatchLCMScheduler',
      'FlowMapEulerDiscreteScheduler',
      'LTXEulerAncestralRFScheduler',
      'flow_match_euler',
      'Flux Realistic',
    ],
    FLOW,
  ],
];

const NO_SCHEDULE = 'diffusers has no such schedule';

export const REFUSED_SCHEDULES: typeof REFUSED_SAMPLERS = [
  [['Uniform'], 'it has the timesteps of "normal": ask for that'],
  [
    ['Align Your Steps', 'align_your_steps', 'AYS'],
    'it is a list of sigmas made for ten steps: give them as "sigmas", or their timesteps as "timesteps"',
  ],
  [
    ['ddim_uniform', 'DDIM'],
    'diffusers has it as the "timestep_spacing" "leading" of a model, which most models have without a schedule',
  ],
  [['linear_quadratic', 'kl_optimal', 'KL Optimal', 'Polyexponential', 'Karras Exponential'], NO_SCHEDULE],
  [['Turbo', 'bong_tangent', 'beta57'], NO_SCHEDULE],
];

type Reasons = ReadonlyMap<string, string>;

function byPlainName(refused: typeof REFUSED_SAMPLERS): Reasons {
  return new Map(refused.flatMap(([names, reason]) => names.map((name) => [plainName(name), reason] as const)));
}

const REASONS = byPlainName(REFUSED_SAMPLERS);
const SCHEDULE_REASONS = byPlainName(REFUSED_SCHEDULES);

/** @returns why this sampler is not implemented; undefined for a name that is none of those */
export function reasonAgainst(name: string): string | undefined {
  return REASONS.get(plainName(name));
}

/** @returns why this schedule is not implemented; undefined for a name that is none of those */
export function reasonAgainstSchedule(name: string): string | undefined {
  return SCHEDULE_REASONS.get(plainName(name));
}

/**
 * `DPM++ 2M KL Optimal` is a sampler with such a schedule behind its name.
 * @param isSampler asked with plain names @returns why the schedule is not implemented
 */
export function reasonAgainstScheduleBehind(name: string, isSampler: (name: string) => boolean): string | undefined {
  const plain = plainName(name);
  const found = [...SCHEDULE_REASONS].find(
    ([schedule]) => plain.endsWith(schedule) && isSampler(plain.slice(0, -schedule.length)),
  );
  return found?.[1];
}
