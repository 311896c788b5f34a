"""What the golden cases are: each one request, and how its checkpoint differs from the base."""

DEFAULTS = {
    "text": "a red fox on a hill",
    "seed": 7,
    "num_inference_steps": 3,
    "guidance_scale": 3,
    "width": 64,
    "height": 48,
    "num_images": 1,
}

DDIM = {
    "_class_name": "DDIMScheduler",
    "_diffusers_version": "0.40.0",
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "clip_sample": False,
    "num_train_timesteps": 1000,
    "set_alpha_to_one": False,
    "steps_offset": 1,
}
LONG_PROMPT = "a very detailed drawing of a small red house beside a lake, " * 9 + "and the end that is cut"
FOUR_BLOCKS = {
    "block_out_channels": [8, 16, 16, 24],
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
    "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
}

CASES = {
    "plain": {"about": "the base checkpoint as it is, laid out as Stable Diffusion 1.5 lies on the hub: PNDM, three steps"},
    # requests
    "steps-1": {"about": "one step", "request": {"num_inference_steps": 1}},
    "steps-7": {"about": "seven steps of PNDM use its whole history", "request": {"num_inference_steps": 7}},
    "guidance-0": {"about": "guidance 0 is legal and means off", "request": {"guidance_scale": 0}},
    "guidance-1": {"about": "guidance 1 means off", "request": {"guidance_scale": 1, "negative_prompt": "ignored"}},
    "guidance-7.5": {"about": "guidance 7.5", "request": {"guidance_scale": 7.5}},
    "negative-prompt": {"about": "a negative prompt", "request": {"negative_prompt": "blurry, low quality"}},
    "empty-prompt": {"about": "an empty prompt", "request": {"text": ""}},
    "unicode-prompt": {"about": "letters of many scripts, emoji, combining marks, odd spaces", "request": {"text": "Ünïcödé ẞ é ﬁ 日本語の猫 🦊👩‍🚀 مرحبا\u00a0\u2003İstanbul don't 123"}},
    "long-prompt": {"about": "a prompt of more than 77 tokens is cut", "request": {"text": LONG_PROMPT}},
    "special-token-prompt": {"about": "the text of CLIP's own tokens inside a prompt", "request": {"text": "a <|endoftext|> fox <|startoftext|> end"}},
    "seed-large": {"about": "only the low 32 bits of a seed count", "request": {"seed": 2**53 - 1}},
    "four-images": {"about": "image k has seed + k", "request": {"num_images": 4, "num_inference_steps": 2}},
    "four-images-euler-ancestral": {"about": "ancestral noise, drawn per image", "request": {"num_images": 4, "num_inference_steps": 3, "scheduler": "EulerAncestralDiscreteScheduler"}},
    "size-portrait": {"about": "higher than wide", "request": {"width": 48, "height": 96}},
    "size-odd": {"about": "a multiple of 8 that the UNet's downsampling does not divide", "request": {"width": 88, "height": 72}},
    "size-tiny": {"about": "8 by 24: one latent high", "request": {"width": 24, "height": 8, "num_inference_steps": 2}},
    # schedulers by another name
    "scheduler-ddim": {"about": "DDIM out of a PNDM checkpoint", "request": {"scheduler": "DDIMScheduler"}},
    "scheduler-euler": {"about": "Euler out of a PNDM checkpoint", "request": {"scheduler": "EulerDiscreteScheduler"}},
    "scheduler-euler-ancestral": {"about": "Euler ancestral out of a PNDM checkpoint", "request": {"scheduler": "EulerAncestralDiscreteScheduler"}},
    "scheduler-dpmpp-2m": {"about": "DPM-Solver multistep", "request": {"scheduler": "dpmpp_2m", "num_inference_steps": 5}},
    "scheduler-dpmpp-2m-karras": {"about": "DPM-Solver multistep with Karras sigmas", "request": {"scheduler": "dpmpp_2m_karras", "num_inference_steps": 5}},
    # DDIM's own options
    "ddim-v-prediction": {"about": "prediction_type v_prediction", "scheduler_config": {**DDIM, "prediction_type": "v_prediction"}},
    "ddim-sample": {"about": "prediction_type sample", "scheduler_config": {**DDIM, "prediction_type": "sample"}},
    "ddim-trailing": {"about": "timestep_spacing trailing", "scheduler_config": {**DDIM, "timestep_spacing": "trailing"}},
    "ddim-linspace": {"about": "timestep_spacing linspace", "scheduler_config": {**DDIM, "timestep_spacing": "linspace"}},
    "ddim-zero-snr": {"about": "v-prediction, zero terminal SNR, trailing", "scheduler_config": {**DDIM, "prediction_type": "v_prediction", "timestep_spacing": "trailing", "rescale_betas_zero_snr": True}},
    "ddim-alpha-one": {"about": "set_alpha_to_one", "scheduler_config": {**DDIM, "set_alpha_to_one": True}},
    "ddim-steps-offset": {"about": "steps_offset 0 and clip_sample true are corrected to 1 and false", "scheduler_config": {**DDIM, "steps_offset": 0, "clip_sample": True}},
    "ddim-linear": {"about": "beta_schedule linear", "scheduler_config": {**DDIM, "beta_schedule": "linear"}},
    "euler-karras": {"about": "Euler with Karras sigmas by its own configuration", "scheduler_config": {**DDIM, "_class_name": "EulerDiscreteScheduler", "use_karras_sigmas": True}},
    "euler-v-trailing": {"about": "Euler, v-prediction, trailing", "scheduler_config": {**DDIM, "_class_name": "EulerDiscreteScheduler", "prediction_type": "v_prediction", "timestep_spacing": "trailing"}},
    "pndm-v-prediction": {"about": "PNDM, v-prediction", "scheduler_config": {**DDIM, "_class_name": "PNDMScheduler", "prediction_type": "v_prediction", "skip_prk_steps": True}},
    # networks
    "unet-head-dims": {"about": "heads per block", "unet_config": {"attention_head_dim": [2, 4, 8]}},
    "unet-time-embedding": {"about": "flip_sin_to_cos false, freq_shift 1", "unet_config": {"flip_sin_to_cos": False, "freq_shift": 1}},
    "unet-linear-projection": {"about": "use_linear_projection, as SD 2.x", "unet_config": {"use_linear_projection": True}, "unet_weights": True, "same_as_plain": True},
    "unet-options": {
        "about": "lists per block, two transformer layers, only_cross_attention, mid_block_scale_factor, norm_eps",
        "unet_config": {
            "layers_per_block": [1, 2, 1],
            "transformer_layers_per_block": [2, 1, 1],
            "only_cross_attention": [False, True, False],
            "mid_block_scale_factor": 1.5,
            "norm_eps": 1e-3,
            "center_input_sample": True,
        },
        "unet_weights": True,
    },
    "unet-four-blocks": {"about": "four blocks, attention in the middle ones; a size that 8 latents do not divide", "unet_config": FOUR_BLOCKS, "unet_weights": True, "request": {"width": 72, "height": 88}},
    "latents-8-vae-3-blocks": {
        "about": "eight latent channels and a VAE that enlarges by four",
        "unet_config": {"in_channels": 8, "out_channels": 8},
        "unet_weights": True,
        "vae_config": {"latent_channels": 8, "block_out_channels": [8, 8, 16], "down_block_types": ["DownEncoderBlock2D"] * 3, "up_block_types": ["UpDecoderBlock2D"] * 3, "scaling_factor": 0.5},
        "vae_weights": True,
        "request": {"width": 40, "height": 56},
    },
    "vae-no-mid-attention": {"about": "mid_block_add_attention false", "vae_config": {"mid_block_add_attention": False}, "vae_weights": True},
    "vae-no-post-quant-conv": {"about": "use_post_quant_conv false", "vae_config": {"use_post_quant_conv": False, "use_quant_conv": False}, "vae_weights": True},
    "vae-scaling-factor": {"about": "scaling_factor, the same weights", "vae_config": {"scaling_factor": 1.3}},
    "vae-old-attention-names": {"about": "query, key, value and proj_attn", "old_attention_names": True, "same_as_plain": True},
    "vae-tiling": {"about": "decoded in overlapping tiles of 64 pixels", "vae_config": {"sample_size": 64}, "vae_tiling": True, "request": {"width": 136, "height": 104, "num_inference_steps": 2}},
    "text-gelu": {"about": "hidden_act gelu", "text_encoder_config": {"hidden_act": "gelu"}, "request": {"guidance_scale": 12}},
    "text-small-vocabulary": {
        "about": "tokenizer.json, another vocabulary, tensor names without text_model.",
        "text_encoder_config": {"vocab_size": 762, "bos_token_id": 760, "eos_token_id": 761, "pad_token_id": 761},
        "small_vocabulary": True,
        "request": {"text": "a red circle on a white background"},
    },
    # weight files
    "weights-sharded": {"about": "a sharded UNet in float16", "sharded": True, "remove": ["unet/diffusion_pytorch_model.safetensors"], "same_as_plain": True},
    "weights-fp16-variant": {"about": "only an fp16 variant of the UNet", "fp16_variant": True, "remove": ["unet/diffusion_pytorch_model.safetensors"], "same_as_plain": True},
}
