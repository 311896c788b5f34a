"""The schedulers that a golden request may name: diffusers' class, and what is changed of the checkpoint's own configuration."""
import diffusers

SCHEDULERS = {
    "DDIMScheduler": (diffusers.DDIMScheduler, {}),
    "PNDMScheduler": (diffusers.PNDMScheduler, {}),
    "EulerDiscreteScheduler": (diffusers.EulerDiscreteScheduler, {}),
    "EulerAncestralDiscreteScheduler": (diffusers.EulerAncestralDiscreteScheduler, {}),
    "dpmpp_2m": (diffusers.DPMSolverMultistepScheduler, {"use_karras_sigmas": False}),
    "dpmpp_2m_karras": (diffusers.DPMSolverMultistepScheduler, {"use_karras_sigmas": True}),
}
