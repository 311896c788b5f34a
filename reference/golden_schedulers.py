"""The schedulers that a golden request may name: diffusers' class, and what is changed of the checkpoint's own configuration."""
import diffusers

SCHEDULERS = {
    "DDIMScheduler": (diffusers.DDIMScheduler, {}),
    "PNDMScheduler": (diffusers.PNDMScheduler, {}),
    "EulerDiscreteScheduler": (diffusers.EulerDiscreteScheduler, {}),
    "EulerAncestralDiscreteScheduler": (diffusers.EulerAncestralDiscreteScheduler, {}),
    "EDMEulerScheduler": (diffusers.EDMEulerScheduler, {}),
    **{
        name: (getattr(diffusers, name), {})
        for name in (
            "DDPMScheduler",
            "DEISMultistepScheduler",
            "DPMSolverSDEScheduler",
            "DPMSolverSinglestepScheduler",
            "HeunDiscreteScheduler",
            "KDPM2AncestralDiscreteScheduler",
            "KDPM2DiscreteScheduler",
            "LCMScheduler",
            "LMSDiscreteScheduler",
            "SASolverScheduler",
            "TCDScheduler",
            "UniPCMultistepScheduler",
        )
    },
    "dpmpp_2m_sde": (diffusers.DPMSolverMultistepScheduler, {"algorithm_type": "sde-dpmsolver++"}),
    "dpmpp_2m": (diffusers.DPMSolverMultistepScheduler, {"use_karras_sigmas": False}),
    "dpmpp_2m_karras": (diffusers.DPMSolverMultistepScheduler, {"use_karras_sigmas": True}),
}
# As diffusers' page api/schedulers/overview says, "Noise schedules and schedule types".
SCHEDULE_TYPES = {
    "karras": {"use_karras_sigmas": True},
    "exponential": {"use_exponential_sigmas": True, "timestep_spacing": "linspace"},
    "beta": {"use_beta_sigmas": True, "timestep_spacing": "linspace"},
    "sgm_uniform": {"timestep_spacing": "trailing"},
}


def settings_of(request: dict) -> tuple:
    """The class and the settings that a request's `scheduler` and `schedule_type` mean."""
    scheduler_class, settings = SCHEDULERS[request["scheduler"]]
    if request["scheduler"] == "DPMSolverSDEScheduler":
        # Otherwise the tree of the Brownian noise comes from torch's global generator.
        settings = {**settings, "noise_sampler_seed": request["seed"]}
    return scheduler_class, {**settings, **SCHEDULE_TYPES.get(request.get("schedule_type"), {})}
