"""Full loops of diffusers' schedulers over a pseudo network, for test/schedulers/. Usage: make_scheduler_vectors.py > test/schedulers/vectors.json"""
import json
import math

import diffusers
import torch

SD = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
CASES = []


def add(name, steps=(1, 2, 7, 20), **config):
    for n in steps:
        CASES.append((name, n, config))


for spacing in ("leading", "trailing", "linspace"):
    for prediction in ("epsilon", "v_prediction", "sample"):
        add("DDIMScheduler", **SD, timestep_spacing=spacing, prediction_type=prediction, clip_sample=False, steps_offset=1)
add("DDIMScheduler", (5, 30))
add("DDIMScheduler", (5, 50), **SD, set_alpha_to_one=False, clip_sample=True, clip_sample_range=0.7)
add("DDIMScheduler", (1, 20), **SD, rescale_betas_zero_snr=True, prediction_type="v_prediction", timestep_spacing="trailing", clip_sample=False)
add("DDIMScheduler", (6,), beta_schedule="squaredcos_cap_v2", clip_sample=False)
add("DDIMScheduler", (4,), trained_betas=[0.001 + 0.0002 * i for i in range(50)], num_train_timesteps=50, clip_sample=False)
for spacing in ("leading", "trailing", "linspace"):
    add("PNDMScheduler", (1, 2, 4, 7, 20), **SD, skip_prk_steps=True, timestep_spacing=spacing, steps_offset=1)
    add("PNDMScheduler", (4, 5, 20), **SD, skip_prk_steps=False, timestep_spacing=spacing)
add("PNDMScheduler", (6,), **SD, skip_prk_steps=True, prediction_type="v_prediction", set_alpha_to_one=True, steps_offset=1)
for spacing in ("leading", "trailing", "linspace"):
    for prediction in ("epsilon", "v_prediction", "sample"):
        add("EulerDiscreteScheduler", **SD, timestep_spacing=spacing, prediction_type=prediction, steps_offset=1)
        if prediction != "sample":
            add("EulerAncestralDiscreteScheduler", **SD, timestep_spacing=spacing, prediction_type=prediction, steps_offset=1)
add("EulerDiscreteScheduler", (9,), **SD, use_karras_sigmas=True)
add("EulerDiscreteScheduler", (9,), **SD, use_karras_sigmas=True, sigma_min=0.1, sigma_max=10.0, timestep_spacing="leading")
add("EulerDiscreteScheduler", (9,), **SD, final_sigmas_type="sigma_min")
add("EulerDiscreteScheduler", (9,), **SD, interpolation_type="log_linear")
add("EulerDiscreteScheduler", (9,), **SD, rescale_betas_zero_snr=True, timestep_spacing="trailing", prediction_type="v_prediction")
add("EulerAncestralDiscreteScheduler", (9,), **SD, rescale_betas_zero_snr=True, timestep_spacing="trailing", prediction_type="v_prediction")
for karras in (False, True):
    for spacing in ("leading", "trailing", "linspace"):
        add("DPMSolverMultistepScheduler", (1, 2, 7, 20), **SD, use_karras_sigmas=karras, timestep_spacing=spacing, steps_offset=1)
for order in (1, 2, 3):
    for kind in ("midpoint", "heun"):
        for prediction in ("epsilon", "v_prediction", "sample"):
            add("DPMSolverMultistepScheduler", (8, 18), **SD, solver_order=order, solver_type=kind, prediction_type=prediction)
        add("DPMSolverMultistepScheduler", (8, 18), **SD, solver_order=order, solver_type=kind, algorithm_type="dpmsolver", final_sigmas_type="sigma_min")
add("DPMSolverMultistepScheduler", (8, 18), **SD, lower_order_final=False, final_sigmas_type="sigma_min", solver_order=3)
add("DPMSolverMultistepScheduler", (18,), **SD, euler_at_final=True, final_sigmas_type="sigma_min", solver_order=3)
add("DPMSolverMultistepScheduler", (12,), beta_schedule="squaredcos_cap_v2", lambda_min_clipped=-5.1)
add("DPMSolverMultistepScheduler", (12,), **SD, rescale_betas_zero_snr=True, timestep_spacing="trailing", prediction_type="v_prediction")

ELEMENTS = 20
out = []
for name, steps, config in CASES:
    scheduler = getattr(diffusers, name)(**config)
    scheduler.set_timesteps(steps)
    generator = torch.Generator().manual_seed(7)
    sample = torch.tensor([math.sin(1.3 * i) for i in range(ELEMENTS)], dtype=torch.float32) * scheduler.init_noise_sigma
    for t in scheduler.timesteps:
        scaled = scheduler.scale_model_input(sample, t)
        fraction = float(t) / (float(t) + 100)
        output = scaled * torch.tensor(fraction, dtype=torch.float32) + torch.tensor(0.1, dtype=torch.float32)
        extra = dict(generator=generator) if "Ancestral" in name else {}
        sample = scheduler.step(output, t, sample, **extra).prev_sample
    out.append(
        dict(
            scheduler=name,
            steps=steps,
            config=config,
            timesteps=[float(t) for t in scheduler.timesteps],
            initNoiseSigma=float(scheduler.init_noise_sigma),
            result=[float(x) for x in sample],
        )
    )
print("[\n" + ",\n".join(json.dumps(case) for case in out) + "\n]")
