"""The golden cases of checkpoints that people name: their own scheduler, read off the files that they publish, over the tiny weights of their family.

Each case names the page that the facts were read from. Their UNets, text encoders and VAEs have the configuration of the family's base model.
"""
from golden_families import LCM_SCHEDULER

TRAINING = {"beta_end": 0.012, "beta_schedule": "scaled_linear", "beta_start": 0.00085, "num_train_timesteps": 1000, "trained_betas": None}

PNDM = {"_class_name": "PNDMScheduler", **TRAINING, "set_alpha_to_one": False, "skip_prk_steps": True, "steps_offset": 1}
XL_EULER = {
    "_class_name": "EulerDiscreteScheduler",
    **TRAINING,
    "clip_sample": False,
    "interpolation_type": "linear",
    "prediction_type": "epsilon",
    "sample_max_value": 1.0,
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
    "timestep_spacing": "leading",
    "use_karras_sigmas": False,
}

SD1_KNOWN = {
    "known-realistic-vision": {
        "about": "Realistic Vision 5.1 (github.com/smbands/realistic-vision-v51)",
        "scheduler_config": {**PNDM, "_diffusers_version": "0.21.2", "clip_sample": False, "prediction_type": "epsilon", "timestep_spacing": "leading"},
        "vae_config": {"force_upcast": True},
        "same_as": "plain",
    },
    "known-dreamshaper": {
        "about": "DreamShaper 8 (huggingface.co/Lykon/dreamshaper-8, Kano001/Dreamshaper-8-Fast)",
        "scheduler_config": {
            "_class_name": "DEISMultistepScheduler",
            "_diffusers_version": "0.21.0.dev0",
            **TRAINING,
            "algorithm_type": "deis",
            "clip_sample": False,
            "dynamic_thresholding_ratio": 0.995,
            "lower_order_final": True,
            "prediction_type": "epsilon",
            "sample_max_value": 1.0,
            "set_alpha_to_one": False,
            "skip_prk_steps": True,
            "solver_order": 2,
            "solver_type": "logrho",
            "steps_offset": 1,
            "thresholding": False,
            "timestep_spacing": "leading",
            "use_karras_sigmas": False,
        },
        "request": {"num_inference_steps": 6},
    },
    "known-minisd": {
        "about": "miniSD: an old file without clip_sample (huggingface.co/lambdalabs/miniSD-diffusers, revision 6e4dc28)",
        "scheduler_config": {**PNDM, "_diffusers_version": "0.8.1"},
        "same_as": "plain",
    },
}

XL_KNOWN = {
    "known-pony": {
        "about": "Pony V6 (huggingface.co/kitty7779/ponyDiffusionV6XL)",
        "scheduler_config": {**XL_EULER, "_diffusers_version": "0.18.2"},
        "same_as": "xl-plain",
    },
    "known-animagine": {
        "about": "Animagine XL (huggingface.co/Linaqruf/animagine-xl; the index of animagine-xl-3.0 names the same class)",
        "scheduler_config": {**XL_EULER, "_diffusers_version": "0.18.2"},
        "same_as": "xl-plain",
    },
    "known-juggernaut": {
        "about": "Juggernaut XL v9: its index names DDPM, its scheduler's file Euler (huggingface.co/RunDiffusion/Juggernaut-XL-v9, commit 47896c1; TensorStack/Juggernaut-XL-v9-onnx)",
        "scheduler_config": {**XL_EULER, "_diffusers_version": "0.19.0.dev0"},
        "index": {"scheduler": ["diffusers", "DDPMScheduler"]},
        "request": {"num_inference_steps": 6},
    },
    "known-noobai-v-pred": {
        "about": "NoobAI v-pred 0.9r (huggingface.co/John6666/noobai-xl-nai-xl-vpred09rversion-sdxl)",
        "scheduler_config": {
            **XL_EULER,
            "_diffusers_version": "0.31.0.dev0",
            "final_sigmas_type": "zero",
            "prediction_type": "v_prediction",
            "rescale_betas_zero_snr": True,
            "sigma_max": None,
            "sigma_min": None,
            "timestep_type": "discrete",
        },
        # Seed 7, which the others have, hangs on rounding here.
        "request": {"seed": 8},
    },
    "known-hyper-ddim": {
        "about": "Hyper-SD in 2 steps: DDIM, trailing, without guidance (huggingface.co/ByteDance/Hyper-SD, README)",
        "scheduler_config": {**XL_EULER, "_class_name": "DDIMScheduler", "timestep_spacing": "trailing"},
        "request": {"num_inference_steps": 2, "guidance_scale": 0},
    },
    "known-hyper-tcd": {
        "about": "Hyper-SD in 1 step: TCD, eta 1, without guidance (huggingface.co/ByteDance/Hyper-SD, README)",
        "request": {"scheduler": "TCDScheduler", "num_inference_steps": 1, "guidance_scale": 0, "eta": 1},
    },
    "known-hyper-unet": {
        "about": "Hyper-SD's UNet of 1 step: LCM from timestep 800 (huggingface.co/ByteDance/Hyper-SD, ComfyUI-HyperSDXL1StepUnetScheduler)",
        "scheduler_config": {**LCM_SCHEDULER, "steps_offset": 1, "set_alpha_to_one": False},
        "request": {"num_inference_steps": None, "timesteps": [800], "guidance_scale": 0},
    },
}

KNOWN_CASES = {
    **{name: {"base": "base", **case} for name, case in SD1_KNOWN.items()},
    **{name: {"base": "base-xl", **case} for name, case in XL_KNOWN.items()},
}
