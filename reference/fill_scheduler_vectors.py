"""Fills the cases in test/schedulers/vectors/*.json with what diffusers makes of them: whole loops over a pseudo network.

A case states scheduler, config and steps, and may state timesteps, sigmas (without the final 0), eta, and strength for a loop that begins at an
image. All other keys are output. Usage: fill_scheduler_vectors.py test/schedulers/vectors/*.json"""
import inspect
import json
import math
import sys
from pathlib import Path

import diffusers
import torch

SHAPE = (1, 4, 1, 5)
SEED = 7
ELEMENTS = math.prod(SHAPE)
INPUTS = ("scheduler", "config", "steps", "timesteps", "sigmas", "eta", "strength", "elements")


def rounded(numbers):
    return [float(format(float(x), ".9g")) for x in numbers]


def begin(case):
    scheduler_class = getattr(diffusers, case["scheduler"])
    # text2img's noise is that of the image's seed.
    seed = {"noise_sampler_seed": SEED} if "noise_sampler_seed" in inspect.signature(scheduler_class.__init__).parameters else {}
    scheduler = scheduler_class(**case["config"], **seed)
    if "timesteps" in case:
        scheduler.set_timesteps(timesteps=case["timesteps"])
    elif "sigmas" in case:
        scheduler.set_timesteps(sigmas=[*case["sigmas"], 0.0])
    else:
        scheduler.set_timesteps(case["steps"])
    return scheduler


def wave(function, frequency):
    return torch.tensor([function(frequency * i) for i in range(ELEMENTS)], dtype=torch.float32).reshape(SHAPE)


def fill(case):
    scheduler = begin(case)
    order = scheduler.order
    generator = torch.Generator().manual_seed(SEED)
    timesteps = scheduler.timesteps
    noised = None
    first = 0
    if "strength" in case:
        # pipelines/stable_diffusion/pipeline_stable_diffusion_img2img.py, get_timesteps
        steps = case["steps"]
        first = max(steps - min(int(steps * case["strength"]), steps), 0) * order
        timesteps = timesteps[first:]
    if hasattr(scheduler, "set_begin_index"):
        # Without it the first timestep is searched for, and found at its second place where the schedule has it twice.
        scheduler.set_begin_index(first)
    if "strength" in case:
        noise = torch.randn(SHAPE, generator=generator)
        noised = sample = scheduler.add_noise(wave(math.cos, 0.7), noise, timesteps[:1])
    else:
        sample = wave(math.sin, 1.3) * scheduler.init_noise_sigma
    takes = inspect.signature(scheduler.step).parameters
    extra = {"generator": generator} if "generator" in takes else {}
    if "eta" in takes:
        extra["eta"] = case.get("eta", 0)
    predicted = None
    for index, t in enumerate(timesteps):
        scaled = scheduler.scale_model_input(sample, t)
        fraction = float(t) / (float(t) + 100)
        output = scaled * torch.tensor(fraction, dtype=torch.float32) + torch.tensor(0.1, dtype=torch.float32)
        result = scheduler.step(output, t, sample, **extra)
        if index == 0:
            predicted = getattr(result, "pred_original_sample", None)
        sample = result.prev_sample
    made = {
        **{key: case[key] for key in INPUTS if key in case},
        "first": first,
        "passes": rounded(scheduler.timesteps),
        "initNoiseSigma": rounded([scheduler.init_noise_sigma])[0],
        "result": rounded(sample.flatten()),
    }
    if noised is not None:
        made["noised"] = rounded(noised.flatten())
    if predicted is not None:
        made["predicted"] = rounded(predicted.flatten())
    return made


for name in sys.argv[1:]:
    cases = json.loads(Path(name).read_text())
    lines = [json.dumps(fill(case)) for case in cases]
    Path(name).write_text("[\n" + ",\n".join(lines) + "\n]\n")
