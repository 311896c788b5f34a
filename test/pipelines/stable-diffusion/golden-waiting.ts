/**
 * Golden cases whose code is not there yet, by name, with what they wait for. The test draws them all the same and reports them as "todo".
 * Who brings the code takes the line out: from then on a wrong pixel is an error.
 */
export const WAITING: readonly { readonly cases: RegExp; readonly what: string }[] = [
  { cases: /^xl-/u, what: 'the family of StableDiffusionXLPipeline' },
  { cases: /^lcm-/u, what: 'the family of LatentConsistencyModelPipeline and LCMScheduler' },
  { cases: /clip-skip/u, what: 'clip_skip' },
  { cases: /guidance-rescale|^sd2-(?:guidance-1|zero-snr)/u, what: 'guidance_rescale' },
  { cases: /vae-tiny/u, what: 'AutoencoderTiny' },
  { cases: /^unet-mid-block-resnet/u, what: 'UNetMidBlock2D' },
  {
    cases: /^(?:ddim-eta|euler-(?:timesteps|sigmas|schedule)|dpmpp-2m-timesteps)/u,
    what: 'eta, timesteps, sigmas and schedule_type in requests',
  },
  {
    cases: /^scheduler-(?:ddpm|heun|lms|kdpm2|dpm-|dpmpp-2m-sde|unipc|deis|tcd|sa-solver)/u,
    what: 'the other schedulers',
  },
];
