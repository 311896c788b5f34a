"""The golden cases of the families beside Stable Diffusion 1.x. `base` is the checkpoint that the case changes.

`reference` names the case whose picture must differ (or, with `same_as`, must not); `null` in a request leaves the field out, so that the default holds.
"""
from golden_checkpoint import SCHEDULER
from golden_families import LCM_SCHEDULER, SD2, XL

EULER = {key: value for key, value in XL.scheduler.items() if key not in ("skip_prk_steps", "set_alpha_to_one")}
NEGATIVE = "blurry, low quality"

TWO_BLOCKS = {
    "block_out_channels": [8, 16],
    "attention_head_dim": [1, 2],
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"],
    "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D"],
    "transformer_layers_per_block": [1, 2],
}
SD1_TWO_BLOCKS = {
    "block_out_channels": [8, 16],
    "attention_head_dim": 2,
    "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"],
    "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"],
}
EDM = {
    "_class_name": "EDMDPMSolverMultistepScheduler",
    "_diffusers_version": "0.27.0.dev0",
    "algorithm_type": "dpmsolver++",
    "dynamic_thresholding_ratio": 0.995,
    "euler_at_final": False,
    "final_sigmas_type": "zero",
    "lower_order_final": True,
    "num_train_timesteps": 1000,
    "prediction_type": "epsilon",
    "rho": 7.0,
    "sample_max_value": 1.0,
    "sigma_data": 0.5,
    "sigma_max": 80.0,
    "sigma_min": 0.002,
    "solver_order": 2,
    "solver_type": "midpoint",
    "thresholding": False,
}
# From the checkpoint's own VAE configuration.
PLAYGROUND_VAE = {"latents_mean": [-1.6574, 1.886, -1.383, 2.5155], "latents_std": [8.4927, 5.9022, 6.5498, 5.2299], "scaling_factor": 0.5}
TINY_VAE = {
    "_class_name": "AutoencoderTiny",
    "act_fn": "relu",
    "block_out_channels": [8, 8, 8, 8],
    "decoder_block_out_channels": [8, 8, 8, 8],
    "encoder_block_out_channels": [8, 8, 8, 8],
    "force_upcast": False,
    "latent_magnitude": 3,
    "latent_shift": 0.5,
    "num_decoder_blocks": [3, 3, 3, 1],
    "num_encoder_blocks": [1, 3, 3, 3],
    "scaling_factor": 1.0,
    "upsampling_scaling_factor": 2,
}

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
    "xl-guidance-stop": {"about": "guidance_stop ends guidance half-way", "request": {"guidance_scale": 7.5, "num_inference_steps": 5, "guidance_stop": 0.4}},
    "xl-guidance-stop-0": {"about": "guidance_stop 0 guides the first pass only", "request": {"guidance_scale": 7.5, "guidance_stop": 0, "negative_prompt": NEGATIVE}},
    "xl-clip-skip-0": {"about": "clip_skip 0 is the layer before the last, as without it", "request": {"clip_skip": 0}, "same_as": "xl-plain"},
    "xl-clip-skip": {"about": "clip_skip 1 takes the layer before that in both encoders", "request": {"clip_skip": 1}},
    "xl-clip-skip-2": {"about": "clip_skip 2 takes the embeddings of the encoder with three layers", "request": {"clip_skip": 2}, "reference": "xl-clip-skip"},
    # batches and sizes
    "xl-three-images": {"about": "image k has seed + k", "request": {"num_images": 3, "num_inference_steps": 2}},
    "xl-two-images-euler-ancestral": {"about": "ancestral noise, drawn per image; a negative prompt beside size conditions", "request": {"seed": 9, "num_images": 2, "scheduler": "EulerAncestralDiscreteScheduler", "negative_prompt": NEGATIVE, "original_size": [900, 600]}},
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
        "about": "v-prediction, zero terminal SNR, trailing",
        "scheduler_config": {**EULER, "prediction_type": "v_prediction", "rescale_betas_zero_snr": True, "timestep_spacing": "trailing"},
        # Seed 7, which the others have, hangs on rounding here.
        "request": {"guidance_rescale": 0.5, "seed": 8},
    },
    "xl-lcm": {
        "about": "LCM-SDXL: the guidance is an input of the UNet's time embedding, no half is unconditional",
        "unet_config": {**TWO_BLOCKS, "time_cond_proj_dim": 10},
        "unet_weights": True,
        "scheduler_config": LCM_SCHEDULER,
        "request": {"num_inference_steps": 4, "guidance_scale": 8},
    },
    "xl-playground": {
        "about": "Playground 2.5: EDM DPM-Solver, latents_mean and latents_std",
        "scheduler_config": EDM,
        "vae_config": PLAYGROUND_VAE,
    },
    "xl-edm-euler": {"about": "EDM Euler out of Playground's checkpoint", "scheduler_config": EDM, "vae_config": PLAYGROUND_VAE, "request": {"scheduler": "EDMEulerScheduler"}, "reference": "xl-playground"},
    "xl-class-img2img": {"about": "the index of an image-to-image checkpoint of XL", "index": {"_class_name": "StableDiffusionXLImg2ImgPipeline"}, "same_as": "xl-plain"},
    # networks
    "xl-ssd-1b": {
        "about": "SSD-1B and Vega: a middle block of one ResNet, transformer layers per attention of both halves",
        "unet_config": {
            **TWO_BLOCKS,
            "layers_per_block": 2,
            "mid_block_type": "UNetMidBlock2D",
            "transformer_layers_per_block": [0, [2, 1]],
            "reverse_transformer_layers_per_block": [[2, 1, 1], 0],
        },
        "unet_weights": True,
    },
    "xl-koala": {"about": "KOALA: no middle block", "unet_config": {**TWO_BLOCKS, "mid_block_type": None}, "unet_weights": True},
    "xl-vae-tiny": {"about": "TAESDXL in the place of the VAE", "vae_config": TINY_VAE, "vae_weights": True},
    "xl-vae-latents-mean": {"about": "latents_mean and latents_std of the VAE", "vae_config": {"latents_mean": [-0.4, 0.3, 0.1, -0.2], "latents_std": [1.2, 0.9, 1.1, 0.8]}},
    "xl-vae-latents-mean-alone": {"about": "latents_mean without latents_std is not used", "vae_config": {"latents_mean": [-0.4, 0.3, 0.1, -0.2]}, "same_as": "xl-plain"},
}

SD2_DDIM = SD2.scheduler
SD2_EULER = {**SCHEDULER, "_class_name": "EulerDiscreteScheduler", "_diffusers_version": "0.24.0.dev0", "timestep_spacing": "trailing"}
SD2_CASES = {
    "sd2-plain": {"about": "Stable Diffusion 2.1 as it is: DDIM, v-prediction, OpenCLIP's encoder, heads per block, linear projections, upcast attention"},
    "sd2-defaults": {
        "about": "its own defaults: 50 steps, guidance 7.5, the UNet's sample size",
        "request": {"num_inference_steps": None, "guidance_scale": None, "width": None, "height": None, "num_images": None},
    },
    "sd2-sample-size-pair": {"about": "a sample_size of height and width", "unet_config": {"sample_size": [5, 8]}, "request": {"width": None, "height": None}},
    "sd2-negative-prompt": {"about": "a negative prompt", "request": {"negative_prompt": NEGATIVE}},
    "sd2-negative-empty": {"about": "an empty negative prompt is the same as none", "request": {"negative_prompt": ""}, "same_as": "sd2-plain"},
    "sd2-clip-skip-0": {"about": "clip_skip 0 skips nothing", "request": {"clip_skip": 0}, "same_as": "sd2-plain"},
    "sd2-clip-skip": {"about": "clip_skip 1 takes the layer before the last, with the last norm", "request": {"clip_skip": 1}},
    "sd2-guidance-rescale": {"about": "guidance_rescale", "request": {"guidance_scale": 7.5, "guidance_rescale": 0.7}},
    "sd2-guidance-1": {"about": "guidance 1 means off, guidance_rescale too", "request": {"guidance_scale": 1, "guidance_rescale": 0.7}},
    "sd2-three-images": {"about": "image k has seed + k, ancestral noise per image", "request": {"num_images": 3, "scheduler": "EulerAncestralDiscreteScheduler", "num_inference_steps": 2}},
    "sd2-zero-snr": {
        "about": "zero terminal SNR, trailing, rescaled guidance",
        "scheduler_config": {**SD2_DDIM, "rescale_betas_zero_snr": True, "timestep_spacing": "trailing"},
        "request": {"guidance_rescale": 0.7},
    },
    "sd2-base": {"about": "Stable Diffusion 2 base: PNDM, epsilon", "scheduler_config": {**SCHEDULER, "prediction_type": "epsilon"}},
    "sd2-dpmpp-2m": {"about": "DPM-Solver multistep, v-prediction", "request": {"scheduler": "dpmpp_2m", "num_inference_steps": 5}},
    "sd2-turbo": {"about": "SD-Turbo: Euler, trailing, one step without guidance", "scheduler_config": {**SD2_EULER, "prediction_type": "epsilon"}, "request": {"num_inference_steps": 1, "guidance_scale": 0}},
    "sd2-turbo-4-steps": {"about": "SD-Turbo with four steps", "scheduler_config": {**SD2_EULER, "prediction_type": "epsilon"}, "request": {"num_inference_steps": 4, "guidance_scale": 0}, "reference": "sd2-turbo"},
}

LCM_CASES = {
    "lcm-plain": {"about": "a latent consistency model: the guidance is an input of the time embedding", "request": {"num_inference_steps": 4, "guidance_scale": 8.5}},
    "lcm-defaults": {
        "about": "its own defaults: 4 steps, guidance 8.5, the UNet's sample size",
        "request": {"num_inference_steps": None, "guidance_scale": None, "width": None, "height": None, "num_images": None},
    },
    "lcm-one-step": {"about": "one step draws no noise after it", "request": {"num_inference_steps": 1, "guidance_scale": 8.5}},
    "lcm-eight-steps": {"about": "eight steps out of the 50 that it was taught with", "request": {"num_inference_steps": 8, "guidance_scale": 8.5}},
    "lcm-guidance-1": {"about": "guidance 1 is the embedding of 0", "request": {"num_inference_steps": 4, "guidance_scale": 1}},
    "lcm-guidance-0": {"about": "guidance 0 is the embedding of -1", "request": {"num_inference_steps": 4, "guidance_scale": 0}},
    "lcm-clip-skip": {"about": "clip_skip", "request": {"num_inference_steps": 4, "guidance_scale": 8.5, "clip_skip": 1}},
    "lcm-three-images": {"about": "noise between the steps, drawn per image", "request": {"num_inference_steps": 3, "guidance_scale": 8.5, "num_images": 3}},
    "lcm-class-img2img": {
        "about": "the index of an image-to-image latent consistency model",
        "index": {"_class_name": "LatentConsistencyModelImg2ImgPipeline"},
        "request": {"num_inference_steps": 4, "guidance_scale": 8.5},
        "same_as": "lcm-plain",
    },
    "lcm-timesteps": {"about": "timesteps by hand", "request": {"num_inference_steps": None, "timesteps": [999, 699, 399, 19], "guidance_scale": 8.5}},
}

# Changes of Stable Diffusion 1.x: what a UNet may leave out, other VAEs, requests.
BASE_CASES = {
    "unet-no-mid-block": {"about": "BK-SDM and tiny-sd: no middle block", "unet_config": {**SD1_TWO_BLOCKS, "mid_block_type": None}, "unet_weights": True},
    "unet-mid-block-resnet": {"about": "a middle block of one ResNet", "unet_config": {**SD1_TWO_BLOCKS, "mid_block_type": "UNetMidBlock2D"}, "unet_weights": True},
    "unet-rare-options": {
        "about": "time embeddings that scale and shift, gelu, wide kernels",
        "unet_config": {**SD1_TWO_BLOCKS, "act_fn": "gelu", "conv_in_kernel": 5, "conv_out_kernel": 5, "resnet_time_scale_shift": "scale_shift"},
        "unet_weights": True,
    },
    # A checkpoint of another task draws as AutoPipelineForText2Image lets it.
    "class-img2img": {"about": "the index of an image-to-image checkpoint", "index": {"_class_name": "StableDiffusionImg2ImgPipeline"}, "same_as": "plain"},
    "class-inpaint": {"about": "the index of an inpainting checkpoint whose UNet takes no mask", "index": {"_class_name": "StableDiffusionInpaintPipeline"}, "same_as": "plain"},
    "vae-tiny": {"about": "TAESD in the place of the VAE", "vae_config": TINY_VAE, "vae_weights": True},
    "vae-latents-mean": {"about": "Stable Diffusion 1.x does not use latents_mean and latents_std", "vae_config": {"latents_mean": [-0.4, 0.3, 0.1, -0.2], "latents_std": [1.2, 0.9, 1.1, 0.8]}, "same_as": "plain"},
    "vae-shift-factor": {"about": "Stable Diffusion 1.x does not use shift_factor", "vae_config": {"shift_factor": 0.3, "force_upcast": True}, "same_as": "plain"},
    "clip-skip": {"about": "clip_skip 1 takes the layer before the last", "request": {"clip_skip": 1}},
    "guidance-rescale": {"about": "guidance_rescale", "request": {"guidance_scale": 7.5, "guidance_rescale": 0.7}, "reference": "guidance-7.5"},
    "guidance-stop": {"about": "guidance_stop counts the passes of PNDM, one more than the steps", "request": {"guidance_scale": 7.5, "num_inference_steps": 5, "guidance_stop": 0.5}},
    "guidance-stop-0": {"about": "guidance_stop 0 guides the first pass only", "request": {"guidance_scale": 7.5, "guidance_stop": 0}, "reference": "guidance-7.5"},
    "guidance-stop-1": {"about": "guidance_stop 1 changes nothing", "request": {"guidance_scale": 7.5, "guidance_stop": 1}, "same_as": "guidance-7.5"},
    "guidance-stop-heun": {"about": "guidance ends between the two passes of a step of Heun", "request": {"scheduler": "HeunDiscreteScheduler", "guidance_scale": 7.5, "guidance_stop": 0.3}},
    "guidance-stop-rescale": {"about": "guidance_rescale as long as there is guidance", "request": {"guidance_scale": 7.5, "guidance_rescale": 0.7, "num_inference_steps": 5, "guidance_stop": 0.2}},
    "guidance-stop-two-images": {"about": "guidance_stop of two images with ancestral noise", "request": {"scheduler": "EulerAncestralDiscreteScheduler", "guidance_stop": 0.4, "num_images": 2}},
    "ddim-eta": {"about": "eta 0.7 of DDIM, noise per image", "request": {"scheduler": "DDIMScheduler", "eta": 0.7, "num_images": 2}},
    "euler-timesteps": {"about": "timesteps by hand", "request": {"scheduler": "EulerDiscreteScheduler", "num_inference_steps": None, "timesteps": [950, 600, 250, 40]}},
    "euler-sigmas": {"about": "sigmas by hand; the last 0 is appended", "request": {"scheduler": "EulerDiscreteScheduler", "num_inference_steps": None, "sigmas": [14.5, 5.25, 1.5, 0.25]}},
    "dpmpp-2m-timesteps": {"about": "timesteps by hand of DPM-Solver multistep", "request": {"scheduler": "dpmpp_2m", "num_inference_steps": None, "timesteps": [999, 500, 100]}},
    "euler-schedule-karras": {"about": "schedule_type karras", "request": {"scheduler": "EulerDiscreteScheduler", "schedule_type": "karras"}},
    "euler-schedule-exponential": {"about": "schedule_type exponential", "request": {"scheduler": "EulerDiscreteScheduler", "schedule_type": "exponential"}},
    "euler-schedule-beta": {"about": "schedule_type beta", "request": {"scheduler": "EulerDiscreteScheduler", "schedule_type": "beta"}},
    "euler-schedule-sgm-uniform": {"about": "schedule_type sgm_uniform is trailing", "request": {"scheduler": "EulerDiscreteScheduler", "schedule_type": "sgm_uniform"}},
    "lcm-lora": {"about": "LCM's scheduler with a UNet that takes no guidance: both halves run", "request": {"scheduler": "LCMScheduler", "guidance_scale": 1.5, "num_inference_steps": 4}},
    **{
        f"scheduler-{name}": {"about": about, "request": {"scheduler": class_name, "num_inference_steps": 5, "width": 48, "height": 32, **more}}
        for name, class_name, about, more in (
            ("ddpm", "DDPMScheduler", "DDPM, noise per image", {"num_images": 2}),
            ("heun", "HeunDiscreteScheduler", "Heun calls the network twice a step", {}),
            ("lms", "LMSDiscreteScheduler", "LMS", {}),
            ("kdpm2", "KDPM2DiscreteScheduler", "KDPM2 calls the network twice a step", {}),
            ("kdpm2-ancestral", "KDPM2AncestralDiscreteScheduler", "KDPM2 ancestral, noise per image", {"num_images": 2}),
            ("dpm-singlestep", "DPMSolverSinglestepScheduler", "DPM-Solver singlestep", {"num_inference_steps": 6}),
            ("dpmpp-2m-sde", "dpmpp_2m_sde", "DPM-Solver multistep SDE, noise per image", {"num_images": 2}),
            ("dpm-sde", "DPMSolverSDEScheduler", "DPM-Solver SDE: Brownian noise of each image's seed", {"num_images": 2}),
            ("unipc", "UniPCMultistepScheduler", "UniPC", {}),
            ("deis", "DEISMultistepScheduler", "DEIS", {}),
            ("tcd", "TCDScheduler", "TCD with eta 0", {}),
            ("sa-solver", "SASolverScheduler", "SA-Solver, noise per image", {"num_images": 2}),
        )
    },
}


def with_base(base: str, cases: dict) -> dict:
    return {name: {"base": base, **case} for name, case in cases.items()}


FAMILY_CASES = {
    **with_base("base-xl", XL_CASES),
    **with_base("base-sd2", SD2_CASES),
    **with_base("base-lcm", LCM_CASES),
    **BASE_CASES,
}
