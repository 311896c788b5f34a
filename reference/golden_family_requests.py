"""The golden cases of the families beside Stable Diffusion 1.x. `base` is the checkpoint that the case changes.

`reference` names the case whose picture must differ (or, with `same_as`, must not); `null` in a request leaves the field out, so that the default holds.
"""
from golden_families import XL

EULER = {key: value for key, value in XL.scheduler.items() if key not in ("skip_prk_steps", "set_alpha_to_one")}
NEGATIVE = "blurry, low quality"

XL_CASES = {
    "xl-plain": {"about": "XL as it is: Euler, two text encoders, text_time; the absent negative prompt is zeros"},
    "xl-defaults": {
        "about": "XL's own defaults: 50 steps, guidance 5, the UNet's sample size",
        "request": {"num_inference_steps": None, "guidance_scale": None, "width": None, "height": None, "num_images": None},
    },
    # prompts
    "xl-negative-empty": {"about": "an empty negative prompt is encoded, an absent one is zeros", "request": {"negative_prompt": ""}},
    "xl-negative-prompt": {"about": "a negative prompt for both encoders", "request": {"negative_prompt": NEGATIVE}},
    "xl-encode-empty": {"about": "force_zeros_for_empty_prompt false: the absent negative prompt is encoded as empty", "index": {"force_zeros_for_empty_prompt": False}, "same_as": "xl-negative-empty"},
    "xl-prompt-2": {"about": "another prompt for the second encoder", "request": {"prompt_2": "a blue house in the snow"}},
    "xl-negative-prompt-2": {"about": "another negative prompt for the second encoder", "request": {"negative_prompt": NEGATIVE, "negative_prompt_2": "a dark wood"}, "reference": "xl-negative-prompt"},
    "xl-negative-prompt-2-alone": {"about": "without a negative prompt the zeros stay, whatever the second one says", "request": {"negative_prompt_2": "a dark wood"}, "same_as": "xl-plain"},
    "xl-long-prompt": {"about": "a prompt of more than 77 tokens is cut for both encoders", "request": {"text": "a very detailed drawing of a small red house beside a lake, " * 9 + "and the end"}},
    # sizes as conditions
    "xl-sizes": {"about": "original size, crop and target size", "request": {"original_size": [600, 900], "crops_coords_top_left": [16, 40], "target_size": [1024, 768]}},
    "xl-original-size": {"about": "an original size alone: the target is the picture's size", "request": {"original_size": [2048, 1024]}},
    "xl-crop": {"about": "a crop alone", "request": {"crops_coords_top_left": [300, 20]}},
    "xl-negative-sizes": {
        "about": "the negative half has its own sizes",
        "request": {"negative_original_size": [512, 256], "negative_crops_coords_top_left": [8, 100], "negative_target_size": [900, 1000]},
    },
    "xl-negative-original-size-alone": {"about": "diffusers uses negative sizes only where original and target are both given", "request": {"negative_original_size": [512, 256]}, "same_as": "xl-plain"},
    "xl-negative-crop-alone": {"about": "a negative crop without negative sizes does nothing", "request": {"negative_crops_coords_top_left": [64, 64]}, "same_as": "xl-plain"},
    # guidance
    "xl-guidance-1": {"about": "guidance 1 means off", "request": {"guidance_scale": 1, "negative_prompt": "ignored"}},
    "xl-guidance-0": {"about": "guidance 0 means off too", "request": {"guidance_scale": 0}, "same_as": "xl-guidance-1"},
    "xl-guidance-rescale": {"about": "guidance_rescale", "request": {"guidance_scale": 7.5, "guidance_rescale": 0.7}},
    "xl-clip-skip-0": {"about": "clip_skip 0 is the layer before the last, as without it", "request": {"clip_skip": 0}, "same_as": "xl-plain"},
    "xl-clip-skip": {"about": "clip_skip 1 takes the layer before that in both encoders", "request": {"clip_skip": 1}},
    "xl-clip-skip-2": {"about": "clip_skip 2 takes the embeddings of the encoder with three layers", "request": {"clip_skip": 2}, "reference": "xl-clip-skip"},
    # batches and sizes
    "xl-three-images": {"about": "image k has seed + k", "request": {"num_images": 3, "num_inference_steps": 2}},
    "xl-two-images-euler-ancestral": {"about": "ancestral noise, drawn per image; a negative prompt beside size conditions", "request": {"num_images": 2, "scheduler": "EulerAncestralDiscreteScheduler", "negative_prompt": NEGATIVE, "original_size": [900, 600]}},
    "xl-size-odd": {"about": "a multiple of 8 that the UNet's downsampling does not divide", "request": {"width": 88, "height": 40}},
    # schedulers
    "xl-pndm": {"about": "PNDM out of an Euler checkpoint", "request": {"scheduler": "PNDMScheduler"}},
    "xl-dpmpp-2m-karras": {"about": "DPM-Solver multistep with Karras sigmas", "request": {"scheduler": "dpmpp_2m_karras", "num_inference_steps": 5}},
    "xl-turbo": {
        "about": "SDXL-Turbo: Euler ancestral, trailing, one step without guidance",
        "scheduler_config": {**EULER, "_class_name": "EulerAncestralDiscreteScheduler", "timestep_spacing": "trailing"},
        "request": {"num_inference_steps": 1, "guidance_scale": 0},
    },
    "xl-lightning": {
        "about": "SDXL-Lightning: Euler, trailing, four steps without guidance",
        "scheduler_config": {**EULER, "timestep_spacing": "trailing"},
        "request": {"num_inference_steps": 4, "guidance_scale": 0},
    },
    "xl-v-prediction": {
        "about": "v-prediction, zero terminal SNR, trailing, as NoobAI's v-prediction checkpoint",
        "scheduler_config": {**EULER, "prediction_type": "v_prediction", "rescale_betas_zero_snr": True, "timestep_spacing": "trailing"},
        "request": {"guidance_rescale": 0.5},
    },
    # networks
    "xl-vae-latents-mean": {"about": "latents_mean and latents_std of the VAE", "vae_config": {"latents_mean": [-0.4, 0.3, 0.1, -0.2], "latents_std": [1.2, 0.9, 1.1, 0.8]}},
    "xl-vae-latents-mean-alone": {"about": "latents_mean without latents_std is not used", "vae_config": {"latents_mean": [-0.4, 0.3, 0.1, -0.2]}, "same_as": "xl-plain"},
}


def with_base(base: str, cases: dict) -> dict:
    return {name: {"base": base, **case} for name, case in cases.items()}


FAMILY_CASES = with_base("base-xl", XL_CASES)
