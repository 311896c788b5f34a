"""The golden cases of feature caching, drawn by the DeepCache package: intervals, branches, schedulers with one and two passes a step, families."""
from golden_family_requests import SD1_TWO_BLOCKS, TWO_BLOCKS, XL_CASES

HEUN = {"scheduler": "HeunDiscreteScheduler", "num_inference_steps": 5, "width": 48, "height": 32}

SD1 = {
    "pndm-2": {"about": "every second pass whole; PNDM's second timestep comes twice", "request": {"num_inference_steps": 7, "deep_cache": 2}},
    "ddim-3-branch-1": {"about": "every third pass whole, branch 1", "request": {"scheduler": "DDIMScheduler", "num_inference_steps": 7, "deep_cache": 3, "deep_cache_branch": 1}},
    "euler-ancestral-5": {"about": "every fifth pass whole, two images with noise of their own", "request": {"scheduler": "EulerAncestralDiscreteScheduler", "num_inference_steps": 7, "num_images": 2, "deep_cache": 5}},
    "dpmpp-2m-karras-branch-2": {"about": "a branch beyond a short block is the block's first layer", "request": {"scheduler": "dpmpp_2m_karras", "num_inference_steps": 6, "deep_cache": 2, "deep_cache_branch": 2}},
    "guidance-1": {"about": "without guidance", "request": {"scheduler": "EulerDiscreteScheduler", "num_inference_steps": 6, "guidance_scale": 1, "deep_cache": 3}},
    "heun-2": {"about": "both passes of a timestep count alike: an even number meets the first pass only", "request": {**HEUN, "deep_cache": 2}},
    "heun-3": {"about": "Heun, every third timestep's passes whole", "request": {**HEUN, "deep_cache": 3}},
    "heun-5-branch-1": {"about": "Heun, every fifth, branch 1", "request": {**HEUN, "num_inference_steps": 7, "deep_cache": 5, "deep_cache_branch": 1}},
    "kdpm2-2": {"about": "two passes a step with timesteps of their own", "request": {"scheduler": "KDPM2DiscreteScheduler", "num_inference_steps": 5, "deep_cache": 2}},
    "dpm-sde-3": {"about": "two passes a step, Brownian noise", "request": {"scheduler": "DPMSolverSDEScheduler", "num_inference_steps": 5, "deep_cache": 3, "deep_cache_branch": 3}},
    "size-odd-branch-3": {"about": "a size that the downsampling does not divide, and a branch below it", "request": {"scheduler": "DDIMScheduler", "width": 88, "height": 72, "num_inference_steps": 4, "deep_cache": 2, "deep_cache_branch": 3}},
    "branch-8": {"about": "the largest branch: only the middle block is kept", "request": {"scheduler": "UniPCMultistepScheduler", "num_inference_steps": 5, "deep_cache": 3, "deep_cache_branch": 8}},
    "two-layers-branch-2": {
        "about": "two layers in each block, as in the published checkpoints: branch 2 is the first layer of the last block",
        "unet_config": {**SD1_TWO_BLOCKS, "layers_per_block": 2},
        "unet_weights": True,
        "request": {"num_inference_steps": 6, "deep_cache": 3, "deep_cache_branch": 2},
    },
}
XL = {
    "xl-2": {"about": "XL: a shallow pass without attention", "request": {"num_inference_steps": 5, "deep_cache": 2}},
    "xl-5-branch-4": {"about": "XL without guidance, a branch below the first block", "request": {"num_inference_steps": 7, "guidance_scale": 1, "deep_cache": 5, "deep_cache_branch": 4}},
    "xl-ssd-1b-branch-1": {**XL_CASES["xl-ssd-1b"], "about": "SSD-1B's blocks, branch 1", "request": {"num_inference_steps": 5, "deep_cache": 3, "deep_cache_branch": 1}},
    "xl-koala-branch-5": {
        "about": "KOALA: no middle block, and the largest branch",
        "unet_config": {**TWO_BLOCKS, "mid_block_type": None},
        "unet_weights": True,
        "request": {"num_inference_steps": 5, "deep_cache": 3, "deep_cache_branch": 5},
    },
}
SD2 = {"sd2-3-branch-1": {"about": "Stable Diffusion 2.1", "request": {"num_inference_steps": 7, "deep_cache": 3, "deep_cache_branch": 1}}}
LCM = {"lcm-2": {"about": "a latent consistency model: the guidance is an input of shallow passes too", "request": {"num_inference_steps": 4, "deep_cache": 2}}}

DEEP_CACHE_CASES = {
    f"deep-cache-{name}": {**({} if base == "base" else {"base": base}), **case}
    for base, cases in (("base", SD1), ("base-xl", XL), ("base-sd2", SD2), ("base-lcm", LCM))
    for name, case in cases.items()
}
