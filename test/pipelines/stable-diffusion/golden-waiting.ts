/**
 * Golden cases whose code is not there yet, by name, with what they wait for. The test draws them all the same and reports them as "todo".
 * Who brings the code takes the line out: from then on a wrong pixel is an error.
 */
export const WAITING: readonly { readonly cases: RegExp; readonly what: string }[] = [
  { cases: /^lcm-/u, what: 'LCMScheduler' },
  { cases: /vae-tiny/u, what: 'AutoencoderTiny' },
  {
    cases: /^(?:ddim-eta|euler-(?:timesteps|sigmas|schedule)|dpmpp-2m-timesteps)/u,
    what: 'eta, timesteps, sigmas and schedule_type in requests',
  },
  {
    cases: /^scheduler-(?:ddpm|heun|lms|kdpm2|dpm-|dpmpp-2m-sde|unipc|deis|tcd|sa-solver)/u,
    what: 'the other schedulers',
  },
];
