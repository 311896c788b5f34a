"""Loops of diffusers' schedulers that begin at an image, as its image-to-image pipelines begin them, for test/schedulers/.
Usage: make_image_start_vectors.py > test/schedulers/image-start-vectors.json"""
import json
import math

import diffusers
import torch

SD = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
LEAD = dict(**SD, steps_offset=1, timestep_spacing="leading")
CLASSES = {
    "DDIMScheduler": [dict(**LEAD, clip_sample=False), dict(**SD, clip_sample=True), dict(**SD, clip_sample=False, timestep_spacing="trailing", prediction_type="v_prediction", rescale_betas_zero_snr=True)],
    "PNDMScheduler": [dict(**LEAD, skip_prk_steps=True), dict(**SD, skip_prk_steps=False), dict(**SD, skip_prk_steps=True, timestep_spacing="linspace", prediction_type="v_prediction")],
    "EulerDiscreteScheduler": [LEAD, dict(**SD), dict(**SD, use_karras_sigmas=True), dict(**SD, interpolation_type="log_linear"), dict(**SD, timestep_spacing="trailing", prediction_type="v_prediction")],
    "EulerAncestralDiscreteScheduler": [LEAD, dict(**SD), dict(**SD, timestep_spacing="trailing", prediction_type="v_prediction")],
    # The names dpmpp_2m and dpmpp_2m_karras are the first two.
    "DPMSolverMultistepScheduler": [dict(**LEAD, use_karras_sigmas=False), dict(**LEAD, use_karras_sigmas=True), dict(**SD, solver_order=3), dict(**SD, solver_type="heun"), dict(**SD, algorithm_type="dpmsolver", final_sigmas_type="sigma_min"), dict(**SD, timestep_spacing="trailing", prediction_type="v_prediction")],
}
# 100 * 0.29 is 28.999999999999996 in double.
STARTS = [(10, 0.3), (10, 0.75), (10, 1.0), (21, 0.3), (21, 0.75), (21, 1.0), (4, 0.75), (100, 0.29)]
ELEMENTS = 20


def image_loop(name, config, steps, strength):
    scheduler = getattr(diffusers, name)(**config)
    scheduler.set_timesteps(steps)
    # pipelines/stable_diffusion/pipeline_stable_diffusion_img2img.py, get_timesteps
    start = max(steps - min(int(steps * strength), steps), 0)
    timesteps = scheduler.timesteps[start * scheduler.order :]
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(start * scheduler.order)
    generator = torch.Generator().manual_seed(11)
    original = torch.tensor([math.cos(0.7 * i) for i in range(ELEMENTS)], dtype=torch.float32)
    noise = torch.randn(ELEMENTS, generator=generator)
    noised = sample = scheduler.add_noise(original, noise, timesteps[:1])
    predicted = []
    for t in timesteps:
        scaled = scheduler.scale_model_input(sample, t)
        fraction = float(t) / (float(t) + 100)
        output = scaled * torch.tensor(fraction, dtype=torch.float32) + torch.tensor(0.1, dtype=torch.float32)
        extra = dict(generator=generator) if "Ancestral" in name else {}
        result = scheduler.step(output, t, sample, **extra)
        if getattr(result, "pred_original_sample", None) is not None:
            predicted.append(result.pred_original_sample)
        elif "DPM" in name and config.get("algorithm_type", "dpmsolver++") == "dpmsolver++":
            predicted.append(scheduler.model_outputs[-1])
        sample = result.prev_sample
    numbers = lambda tensor: [float(x) for x in tensor]
    return dict(
        scheduler=name,
        config=config,
        steps=steps,
        strength=strength,
        firstPass=start * scheduler.order,
        timesteps=[float(t) for t in timesteps],
        noised=numbers(noised),
        # The image that the network predicts in the first and in the last pass.
        predicted=[numbers(predicted[0]), numbers(predicted[-1])] if predicted else None,
        result=numbers(sample),
    )


out = [image_loop(name, config, *start) for name, configs in CLASSES.items() for config in configs for start in STARTS]
print("[\n" + ",\n".join(json.dumps(case) for case in out) + "\n]")
